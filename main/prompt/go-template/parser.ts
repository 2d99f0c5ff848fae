import { AppError } from '../../errors.ts'
import { type Token, type TokenKind, tokenize } from './lexer.ts'
import type { BranchNode, CommandNode, ListNode, Node, Operand, PipeNode, Statement } from './nodes.ts'
import { show } from './nodes.ts'
import { parseNumber } from './numbers.ts'
import { quote, unquote } from './quote.ts'

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
  return new Parser(tokenize(text), isFunction).parse()
}

const operandKinds = new Set<TokenKind>([
  ...(['bool', 'char-constant', 'dot', 'field', 'identifier', 'number', 'nil', 'raw-string', 'string', 'variable', 'left-paren'] as const),
])

class Parser {
  readonly #tokens: Token[]
  readonly #isFunction: (name: string) => boolean
  readonly #templates: Templates = new Map()
  #at = 0
  /** The furthest token looked at: its line is the one Go puts into an error. */
  #furthest = 0
  #variables = ['$']
  #rangeDepth = 0
  #nesting = 0
  /** Line of the action being parsed, 0 outside. */
  #actionLine = 0

  constructor(tokens: Token[], isFunction: (name: string) => boolean) {
    this.#tokens = tokens
    this.#isFunction = isFunction
  }

  parse(): Templates {
    const root: ListNode = { kind: 'list', pos: this.#peek().pos, nodes: [] }
    while (this.#peek().kind !== 'end-of-file') {
      if (this.#startsDefinition()) {
        this.#definition()
        continue
      }
      const node = this.#textOrAction()
      if (isCloser(node)) this.#fail(`unexpected {{${node.kind}}}`)
      root.nodes.push(node)
    }
    this.#add('', root)
    return this.#templates
  }

  #startsDefinition(): boolean {
    if (this.#peek().kind !== 'left-delim') return false
    const start = this.#at
    this.#next()
    if (isKeyword(this.#nextNonSpace(), 'define')) return true
    this.#at = start
    return false
  }

  #definition(): void {
    const context = 'define clause'
    const name = this.#templateName(context)
    this.#expect('right-delim', context)
    this.#add(name, this.#separateList(context))
  }

  /** A list with variables and loops of its own. */
  #separateList(context: string): ListNode {
    const outer = { variables: this.#variables, rangeDepth: this.#rangeDepth }
    this.#variables = ['$']
    this.#rangeDepth = 0
    const [list, closer] = this.#list()
    if (closer.kind !== 'end') this.#fail(`unexpected {{${closer.kind}}} in ${context}`)
    this.#variables = outer.variables
    this.#rangeDepth = outer.rangeDepth
    return list
  }

  #add(name: string, list: ListNode): void {
    const known = this.#templates.get(name)
    if (known === undefined || isEmpty(known)) this.#templates.set(name, list)
    else if (!isEmpty(list)) this.#fail(`template: multiple definition of template ${quote(name)}`)
  }

  #list(): [ListNode, Closer] {
    this.#enter('blocks nested too deeply')
    const list: ListNode = { kind: 'list', pos: this.#peekNonSpace().pos, nodes: [] }
    while (this.#peekNonSpace().kind !== 'end-of-file') {
      const node = this.#textOrAction()
      if (isCloser(node)) {
        this.#nesting--
        return [list, node]
      }
      list.nodes.push(node)
    }
    return this.#fail('unexpected EOF')
  }

  #textOrAction(): Statement | Closer {
    const token = this.#nextNonSpace()
    if (token.kind === 'text') return { kind: 'text', pos: token.pos, text: token.text }
    if (token.kind !== 'left-delim') return this.#unexpected(token, 'input')
    this.#actionLine = token.line
    const node = this.#action()
    this.#actionLine = 0
    return node
  }

  #action(): Statement | Closer {
    const token = this.#nextNonSpace()
    if (token.kind === 'keyword') {
      switch (token.text) {
        case 'if':
        case 'with':
        case 'range':
          return this.#branch(token.text, token.pos)
        case 'else':
          return this.#else()
        case 'end':
          return { kind: 'end', pos: this.#expect('right-delim', 'end').pos }
        case 'break':
        case 'continue':
          return this.#jump(token.text, token.pos)
        case 'template':
          return this.#template()
        case 'block':
          return this.#block()
      }
    }
    this.#at--
    const { pos } = this.#peek()
    return { kind: 'action', pos, pipe: this.#pipeline('command', 'right-delim') }
  }

  #jump(kind: 'break' | 'continue', pos: number): Statement {
    const token = this.#nextNonSpace()
    if (token.kind !== 'right-delim') this.#unexpected(token, `{{${kind}}}`)
    if (this.#rangeDepth === 0) this.#fail(`{{${kind}}} outside {{range}}`)
    return { kind, pos }
  }

  #else(): Closer {
    const token = this.#peekNonSpace()
    // `else if` and `else with`: the word stays for the branch to find.
    if (isKeyword(token, 'if') || isKeyword(token, 'with')) return { kind: 'else', pos: token.pos }
    return { kind: 'else', pos: this.#expect('right-delim', 'else').pos }
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
    const token = this.#peek()
    if (kind !== 'range' && isKeyword(token, kind)) {
      this.#next()
      this.#enter('blocks nested too deeply')
      const branch = this.#branch(kind, token.pos)
      this.#nesting--
      return { kind: 'list', pos, nodes: [branch] }
    }
    const [list, closer] = this.#list()
    if (closer.kind !== 'end') this.#fail(`expected end; found {{${closer.kind}}}`)
    return list
  }

  #template(): Statement {
    const context = 'template clause'
    const { pos } = this.#peekNonSpace()
    const name = this.#templateName(context)
    if (this.#peekNonSpace().kind === 'right-delim') {
      this.#nextNonSpace()
      return { kind: 'template', pos, name, pipe: null }
    }
    return { kind: 'template', pos, name, pipe: this.#pipeline(context, 'right-delim') }
  }

  #block(): Statement {
    const context = 'block clause'
    const { pos } = this.#peekNonSpace()
    const name = this.#templateName(context)
    const pipe = this.#pipeline(context, 'right-delim')
    this.#add(name, this.#separateList(context))
    return { kind: 'template', pos, name, pipe }
  }

  #templateName(context: string): string {
    const token = this.#nextNonSpace()
    if (token.kind !== 'string' && token.kind !== 'raw-string') this.#unexpected(token, context)
    return this.#unquote(token)
  }

  #pipeline(context: string, end: TokenKind): PipeNode {
    const pipe: PipeNode = { kind: 'pipe', pos: this.#peekNonSpace().pos, declared: [], isAssign: false, commands: [] }
    this.#declarations(pipe, context)
    for (;;) {
      const token = this.#nextNonSpace()
      if (token.kind === end) break
      if (!operandKinds.has(token.kind)) this.#unexpected(token, context)
      this.#at--
      pipe.commands.push(this.#command())
    }
    this.#checkPipeline(pipe, context)
    return pipe
  }

  #declarations(pipe: PipeNode, context: string): void {
    for (;;) {
      const variable = this.#peekNonSpace()
      if (variable.kind !== 'variable') return
      const start = this.#at
      this.#nextNonSpace()
      const next = this.#nextNonSpace()
      const isComma = next.kind === 'char' && next.text === ','
      if (next.kind !== 'assign' && next.kind !== 'declare' && !isComma) {
        this.#at = start
        return
      }
      pipe.declared.push(variable.text)
      this.#variables.push(variable.text)
      if (!isComma) {
        pipe.isAssign = next.kind === 'assign'
        return
      }
      if (context !== 'range' || pipe.declared.length > 1) this.#fail(`too many declarations in ${context}`)
      const { kind } = this.#peekNonSpace()
      if (kind !== 'variable' && kind !== 'right-delim' && kind !== 'right-paren') this.#fail('range can only initialize variables')
    }
  }

  #checkPipeline(pipe: PipeNode, context: string): void {
    if (pipe.commands.length === 0) this.#fail(`missing value for ${context}`)
    for (const [i, command] of pipe.commands.entries()) {
      const first = command.args[0]?.kind
      if (i > 0 && (first === 'literal' || first === 'dot' || first === 'nil')) this.#fail(`non executable command in pipeline stage ${i + 1}`)
    }
  }

  #command(): CommandNode {
    const command: CommandNode = { kind: 'command', pos: this.#peekNonSpace().pos, args: [] }
    for (;;) {
      this.#peekNonSpace()
      const operand = this.#operand()
      if (operand) command.args.push(operand)
      const token = this.#next()
      if (token.kind === 'space') continue
      if (token.kind === 'right-delim' || token.kind === 'right-paren') this.#at--
      else if (token.kind !== 'pipe') this.#unexpected(token, 'operand')
      break
    }
    if (command.args.length === 0) this.#fail('empty command')
    return command
  }

  #operand(): Operand | null {
    const node = this.#term()
    if (node === null || this.#peek().kind !== 'field') return node
    const { pos } = this.#peek()
    const names: string[] = []
    while (this.#peek().kind === 'field') names.push(this.#next().text.slice(1))
    if (node.kind === 'field' || node.kind === 'variable') return { kind: node.kind, pos, names: [...node.names, ...names] }
    if (node.kind === 'literal' || node.kind === 'dot' || node.kind === 'nil') this.#fail(`unexpected . after term ${quote(show(node))}`)
    return { kind: 'chain', pos, node, names }
  }

  #term(): Operand | null {
    const token = this.#nextNonSpace()
    const { text, pos } = token
    switch (token.kind) {
      case 'identifier':
        if (!this.#isFunction(text)) this.#fail(`function ${quote(text)} not defined`)
        return { kind: 'identifier', pos, name: text }
      case 'dot':
      case 'nil':
        return { kind: token.kind, pos }
      case 'variable':
        if (!this.#variables.includes(text)) this.#fail(`undefined variable ${quote(text)}`)
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
        this.#at--
        return null
    }
  }

  #number(text: string): ReturnType<typeof parseNumber> {
    try {
      return parseNumber(text)
    } catch (error) {
      return this.#fail((error as Error).message)
    }
  }

  #unquote(token: Token): string {
    return unquote(token.text) ?? this.#fail('invalid syntax')
  }

  #enter(message: string): void {
    if (++this.#nesting > maxNesting) this.#fail(message)
  }

  #peek(): Token {
    this.#furthest = Math.max(this.#furthest, this.#at)
    // Past the end, or past an error, there is only the last token.
    return (this.#tokens[this.#at] ?? this.#tokens.at(-1)) as Token
  }

  #next(): Token {
    const token = this.#peek()
    this.#at++
    return token
  }

  #nextNonSpace(): Token {
    let token = this.#next()
    while (token.kind === 'space') token = this.#next()
    return token
  }

  #peekNonSpace(): Token {
    while (this.#peek().kind === 'space') this.#at++
    return this.#peek()
  }

  #expect(kind: TokenKind, context: string): Token {
    const token = this.#nextNonSpace()
    return token.kind === kind ? token : this.#unexpected(token, context)
  }

  #unexpected(token: Token, context: string): never {
    if (token.kind !== 'error') this.#fail(`unexpected ${describe(token)} in ${context}`)
    if (this.#actionLine === 0 || this.#actionLine === token.line) this.#fail(token.text)
    const extra = ` in action started at :${this.#actionLine}`
    return this.#fail(token.text + (token.text.endsWith(' action') ? extra.slice(' in action'.length) : extra))
  }

  #fail(message: string): never {
    const token = this.#tokens[this.#furthest] ?? this.#tokens.at(-1)
    throw new AppError('invalid-template', `template: :${token?.line}: ${message}`)
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

function describe(token: Token): string {
  if (token.kind === 'end-of-file') return 'EOF'
  if (token.kind === 'keyword' || token.kind === 'dot' || token.kind === 'nil') return `<${token.text}>`
  const runes = [...token.text]
  return Buffer.byteLength(token.text) > 10 ? `${quote(runes.slice(0, 10).join(''))}...` : quote(token.text)
}
