import type { Value } from './values.ts'

/** Where a node begins in the text, in UTF-16 units. */
interface At {
  pos: number
}

export interface ListNode extends At {
  kind: 'list'
  nodes: Statement[]
}
export interface TextNode extends At {
  kind: 'text'
  text: string
}
export interface ActionNode extends At {
  kind: 'action'
  pipe: PipeNode
}
export interface BranchNode extends At {
  kind: 'if' | 'with' | 'range'
  pipe: PipeNode
  list: ListNode
  elseList: ListNode | null
}
export interface TemplateNode extends At {
  kind: 'template'
  name: string
  pipe: PipeNode | null
}
export interface JumpNode extends At {
  kind: 'break' | 'continue'
}
export type Statement = TextNode | ActionNode | BranchNode | TemplateNode | JumpNode

export interface PipeNode extends At {
  kind: 'pipe'
  declared: string[]
  /** `=` rather than `:=`. */
  isAssign: boolean
  commands: CommandNode[]
}
export interface CommandNode extends At {
  kind: 'command'
  args: Operand[]
}
export interface FieldNode extends At {
  kind: 'field'
  names: string[]
}
/** `$name.Field…`; the first name is the variable's, with its `$`. */
export interface VariableNode extends At {
  kind: 'variable'
  names: string[]
}
export interface ChainNode extends At {
  kind: 'chain'
  node: Operand
  names: string[]
}
export interface IdentifierNode extends At {
  kind: 'identifier'
  name: string
}
/** A string, number or boolean; `text` is how it was written. */
export interface LiteralNode extends At {
  kind: 'literal'
  value: Value
  text: string
}
export interface DotNode extends At {
  kind: 'dot' | 'nil'
}
export type Operand = PipeNode | FieldNode | VariableNode | ChainNode | IdentifierNode | LiteralNode | DotNode

export type Node = ListNode | Statement | CommandNode | Operand

/** The node as template source, spelled as Go spells it in its errors. */
export function show(node: Node): string {
  switch (node.kind) {
    case 'list':
      return node.nodes.map(show).join('')
    case 'text':
      return node.text
    case 'action':
      return `{{${show(node.pipe)}}}`
    case 'if':
    case 'with':
    case 'range':
      return `{{${node.kind} ${show(node.pipe)}}}${show(node.list)}${node.elseList ? `{{else}}${show(node.elseList)}` : ''}{{end}}`
    case 'template':
      return `{{template ${JSON.stringify(node.name)}${node.pipe ? ` ${show(node.pipe)}` : ''}}}`
    case 'break':
    case 'continue':
      return `{{${node.kind}}}`
    case 'pipe': {
      const declared = node.declared.length > 0 ? `${node.declared.join(', ')} ${node.isAssign ? '=' : ':='} ` : ''
      return declared + node.commands.map(show).join(' | ')
    }
    case 'command':
      return node.args.map(showOperand).join(' ')
    case 'field':
      return `.${node.names.join('.')}`
    case 'variable':
      return node.names.join('.')
    case 'chain':
      return `${showOperand(node.node)}.${node.names.join('.')}`
    case 'identifier':
      return node.name
    case 'literal':
      return node.text
    case 'dot':
      return '.'
    case 'nil':
      return 'nil'
    default:
      return node satisfies never
  }
}

function showOperand(node: Operand): string {
  return node.kind === 'pipe' ? `(${show(node)})` : show(node)
}
