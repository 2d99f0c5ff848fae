import { type Token, type TokenKind, tokenize } from './lexer.ts'
import type { BranchNode, CommandNode, ListNode, Node, Operand, PipeNode, Statement } from './nodes.ts'
import { show } from './nodes.ts'
import { parseNumber } from './numbers.ts'
import { quote, unquote } from './quote.ts'
import { TokenStream } from './token-stream.ts'

/** Nesting of blocks and parentheses in the source. */
const maxNesting = 200

/** A parsed template and those it defines, by name; its own is ''. */
export type Templates = Map<string, ListNode>

/** `{{end}}` and `{{else}}`, which close a list and are part of no tree. */
interface Closer {
  kind: 'end' | 'else'
  pos: number
}

/**
 * Parses a template of Go's `text/template`.
 *
 * Throws an AppError `invalid-template` whose text is that of Go's parser (`template: :1: unclosed action`).
 */
export function parseTemplate(text: string, isFunction: (name: string) => boolean): Templates {
  return new Parser(new TokenStream(tokenize(text)), isFunction).parse()
}

const operandKinds = new Set<TokenKind>([
  ...(['bool', 'char-constant', 'dot', 'field', 'identifier', 'number', 'nil', 'raw-string', 'string', 'variable', 'left-paren'] as const),
])

class Parser {
  readonly #tokens: TokenStream
  readonly #isFunction: (name: string) => boolean
  readonly #templates: Templates = new Map()
  #variables = ['$']
  #rangeDepth = 0
  #nesting = 0

  constructor(tokens: TokenStream, isFunction: (name: string) => boolean) {
    this.#tokens = tokens
    this.#isFunction = isFunction
  }

  parse(): Templates {
    const root: ListNode = { kind: 'list', pos: this.#tokens.peek().pos, nodes: [] }
    while (this.#tokens.peek().kind !== 'end-of-file') {
      if (this.#startsDefinition()) {
        this.#definition()
        continue
      }
      const node = this.#textOrAction()
      if (isCloser(node)) this.#tokens.fail(`unexpected {{${node.kind}}}`)
      root.nodes.push(node)
    }
    this.#add('', root)
    return this.#templates
  }

  #startsDefinition(): boolean {
    if (this.#tokens.peek().kind !== 'left-delim') return false
    const start = this.#tokens.at
    this.#tokens.next()
    if (isKeyword(this.#tokens.nextNonSpace(), 'define')) return true
    this.#tokens.at = start
    return false
  }

  #definition(): void {
    const context = 'define clause'
    const name = this.#templateName(context)
    this.#tokens.expect('right-delim', context)
    this.#add(name, this.#separateList(context))
  }

  /** A list with variables and loops of its own. */
  #separateList(context: string): ListNode {
    const outer = { variables: this.#variables, rangeDepth: this.#rangeDepth }
    this.#variables = ['$']
    this.#rangeDepth = 0
    const [list, closer] = this.#list()
    if (closer.kind !== 'end') this.#tokens.fail(`unexpected {{${closer.kind}}} in ${context}`)
    this.#variables = outer.variables
    this.#rangeDepth = outer.rangeDepth
    return list
  }

  #add(name: string, list: ListNode): void {
    const known = this.#templates.get(name)
    if (known === undefined || isEmpty(known)) this.#templates.set(name, list)
    else if (!isEmpty(list)) this.#tokens.fail(`template: multiple definition of template ${quote(name)}`)
  }

  #list(): [ListNode, Closer] {
    this.#enter('blocks nested too deeply')
    const list: ListNode = { kind: 'list', pos: this.#tokens.peekNonSpace().pos, nodes: [] }
    while (this.#tokens.peekNonSpace().kind !== 'end-of-file') {
      const node = this.#textOrAction()
      if (isCloser(node)) {
        this.#nesting--
        return [list, node]
      }
      list.nodes.push(node)
    }
    return this.#tokens.fail('unexpected EOF')
  }

  #textOrAction(): Statement | Closer {
    const token = this.#tokens.nextNonSpace()
    if (token.kind === 'text') return { kind: 'text', pos: token.pos, text: token.text }
    if (token.kind !== 'left-delim') return this.#tokens.unexpected(token, 'input')
    this.#tokens.actionLine = token.line
    const node = this.#action()
    this.#tokens.actionLine = 0
    return node
  }

  #action(): Statement | Closer {
    const token = this.#tokens.nextNonSpace()
    if (token.kind === 'keyword') {
      switch (token.text) {
        case 'if':
        case 'with':
        case 'range':
          return this.#branch(token.text, token.pos)
        case 'else':
          return this.#else()
        case 'end':
          return { kind: 'end', pos: this.#tokens.expect('right-delim', 'end').pos }
        case 'break':
        case 'continue':
          return this.#jump(token.text, token.pos)
        case 'template':
          return this.#template()
        case 'block':
          return this.#block()
      }
    }
    this.#tokens.at--
    const { pos } = this.#tokens.peek()
    return { kind: 'action', pos, pipe: this.#pipeline('command', 'right-delim') }
  }

  #jump(kind: 'break' | 'continue', pos: number): Statement {
    const token = this.#tokens.nextNonSpace()
    if (token.kind !== 'right-delim') this.#tokens.unexpected(token, `{{${kind}}}`)
    if (this.#rangeDepth === 0) this.#tokens.fail(`{{${kind}}} outside {{range}}`)
    return { kind, pos }
  }

  #else(): Closer {
    const token = this.#tokens.peekNonSpace()
    // `else if` and `else with`: the word stays for the branch to find.
    if (isKeyword(token, 'if') || isKeyword(token, 'with')) return { kind: 'else', pos: token.pos }
    return { kind: 'else', pos: this.#tokens.expect('right-delim', 'else').pos }
  }

  #branch(kind: BranchNode['kind'], pos: number): BranchNode {
    const scope = this.#variables.length
    const pipe = this.#pipeline(kind, 'right-delim')
    if (kind === 'range') this.#rangeDepth++
    const [list, closer] = this.#list()
    if (kind === 'range') this.#rangeDepth--
    const elseList = closer.kind === 'else' ? this.#elseList(kind, closer.pos) : null
    this.#variables.length = scope
    return { kind, pos, pipe, list, elseList }
  }

  #elseList(kind: BranchNode['kind'], pos: number): ListNode {
    const token = this.#tokens.peek()
    if (kind !== 'range' && isKeyword(token, kind)) {
      this.#tokens.next()
      this.#enter('blocks nested too deeply')
      const branch = this.#branch(kind, token.pos)
      this.#nesting--
      return { kind: 'list', pos, nodes: [branch] }
    }
    const [list, closer] = this.#list()
    if (closer.kind !== 'end') this.#tokens.fail(`expected end; found {{${closer.kind}}}`)
    return list
  }

  #template(): Statement {
    const context = 'template clause'
    const { pos } = this.#tokens.peekNonSpace()
    const name = this.#templateName(context)
    if (this.#tokens.peekNonSpace().kind === 'right-delim') {
      this.#tokens.nextNonSpace()
      return { kind: 'template', pos, name, pipe: null }
    }
    return { kind: 'template', pos, name, pipe: this.#pipeline(context, 'right-delim') }
  }

  #block(): Statement {
    const context = 'block clause'
    const { pos } = this.#tokens.peekNonSpace()
    const name = this.#templateName(context)
    const pipe = this.#pipeline(context, 'right-delim')
    this.#add(name, this.#separateList(context))
    return { kind: 'template', pos, name, pipe }
  }

  #templateName(context: string): string {
    const token = this.#tokens.nextNonSpace()
    if (token.kind !== 'string' && token.kind !== 'raw-string') this.#tokens.unexpected(token, context)
    return this.#unquote(token)
  }

  #pipeline(context: string, end: TokenKind): PipeNode {
    const pipe: PipeNode = { kind: 'pipe', pos: this.#tokens.peekNonSpace().pos, declared: [], isAssign: false, commands: [] }
    this.#declarations(pipe, context)
    for (;;) {
      const token = this.#tokens.nextNonSpace()
      if (token.kind === end) break
      if (!operandKinds.has(token.kind)) this.#tokens.unexpected(token, context)
      this.#tokens.at--
      pipe.commands.push(this.#command())
    }
    this.#checkPipeline(pipe, context)
    return pipe
  }

  #declarations(pipe: PipeNode, context: string): void {
    for (;;) {
      const variable = this.#tokens.peekNonSpace()
      if (variable.kind !== 'variable') return
      const start = this.#tokens.at
      this.#tokens.nextNonSpace()
      const next = this.#tokens.nextNonSpace()
      const isComma = next.kind === 'char' && next.text === ','
      if (next.kind !== 'assign' && next.kind !== 'declare' && !isComma) {
        this.#tokens.at = start
        return
      }
      pipe.declared.push(variable.text)
      this.#variables.push(variable.text)
      if (!isComma) {
        pipe.isAssign = next.kind === 'assign'
        return
      }
      if (context !== 'range' || pipe.declared.length > 1) this.#tokens.fail(`too many declarations in ${context}`)
      const { kind } = this.#tokens.peekNonSpace()
      if (kind !== 'variable' && kind !== 'right-delim' && kind !== 'right-paren') this.#tokens.fail('range can only initialize variables')
    }
  }

  #checkPipeline(pipe: PipeNode, context: string): void {
    if (pipe.commands.length === 0) this.#tokens.fail(`missing value for ${context}`)
    for (const [i, command] of pipe.commands.entries()) {
      const first = command.args[0]?.kind
      if (i > 0 && (first === 'literal' || first === 'dot' || first === 'nil')) this.#tokens.fail(`non executable command in pipeline stage ${i + 1}`)
    }
  }

  #command(): CommandNode {
    const command: CommandNode = { kind: 'command', pos: this.#tokens.peekNonSpace().pos, args: [] }
    for (;;) {
      this.#tokens.peekNonSpace()
      const operand = this.#operand()
      if (operand) command.args.push(operand)
      const token = this.#tokens.next()
      if (token.kind === 'space') continue
      if (token.kind === 'right-delim' || token.kind === 'right-paren') this.#tokens.at--
      else if (token.kind !== 'pipe') this.#tokens.unexpected(token, 'operand')
      break
    }
    if (command.args.length === 0) this.#tokens.fail('empty command')
    return command
  }

  #operand(): Operand | null {
    const node = this.#term()
    if (node === null || this.#tokens.peek().kind !== 'field') return node
    const { pos } = this.#tokens.peek()
    const names: string[] = []
    while (this.#tokens.peek().kind === 'field') names.push(this.#tokens.next().text.slice(1))
    if (node.kind === 'field' || node.kind === 'variable') return { kind: node.kind, pos, names: [...node.names, ...names] }
    if (node.kind === 'literal' || node.kind === 'dot' || node.kind === 'nil') this.#tokens.fail(`unexpected . after term ${quote(show(node))}`)
    return { kind: 'chain', pos, node, names }
  }

  #term(): Operand | null {
    const token = this.#tokens.nextNonSpace()
    const { text, pos } = token
    switch (token.kind) {
      case 'identifier':
        if (!this.#isFunction(text)) this.#tokens.fail(`function ${quote(text)} not defined`)
        return { kind: 'identifier', pos, name: text }
      case 'dot':
      case 'nil':
        return { kind: token.kind, pos }
      case 'variable':
        if (!this.#variables.includes(text)) this.#tokens.fail(`undefined variable ${quote(text)}`)
        return { kind: 'variable', pos, names: [text] }
      case 'field':
        return { kind: 'field', pos, names: [text.slice(1)] }
      case 'bool':
        return { kind: 'literal', pos, text, value: text === 'true' }
      case 'char-constant':
      case 'number':
        return { kind: 'literal', pos, text, value: this.#number(text) }
      case 'string':
      case 'raw-string':
        return { kind: 'literal', pos, text, value: this.#unquote(token) }
      case 'left-paren': {
        this.#enter('max expression depth exceeded')
        const pipe = this.#pipeline('parenthesized pipeline', 'right-paren')
        this.#nesting--
        return pipe
      }
      default:
        this.#tokens.at--
        return null
    }
  }

  #number(text: string): ReturnType<typeof parseNumber> {
    try {
      return parseNumber(text)
    } catch (error) {
      return this.#tokens.fail((error as Error).message)
    }
  }

  #unquote(token: Token): string {
    return unquote(token.text) ?? this.#tokens.fail('invalid syntax')
  }

  #enter(message: string): void {
    if (++this.#nesting > maxNesting) this.#tokens.fail(message)
  }
}

function isCloser(node: Statement | Closer): node is Closer {
  return node.kind === 'end' || node.kind === 'else'
}

function isKeyword(token: Token, text: string): boolean {
  return token.kind === 'keyword' && token.text === text
}

/** True of a tree of nothing but blanks, which a later definition may replace. */
function isEmpty(node: Node): boolean {
  if (node.kind === 'list') return node.nodes.every(isEmpty)
  return node.kind === 'text' && node.text.trim() === ''
}
