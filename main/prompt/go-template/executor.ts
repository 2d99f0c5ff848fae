import { AppError } from '../../errors.ts'
import type { Budget } from './budget.ts'
import type { TemplateFunction } from './functions.ts'
import {
  type BranchNode,
  type CommandNode,
  type ListNode,
  type Node,
  type Operand,
  type PipeNode,
  type Statement,
  show,
  type TemplateNode,
  type VariableNode,
} from './nodes.ts'
import type { Templates } from './parser.ts'
import { Printer } from './print.ts'
import { quote } from './quote.ts'
import { noFlags } from './scalar.ts'
import { GoList, GoMap, GoStruct, isTrue, typeName, type Value } from './values.ts'

type Functions = ReadonlyMap<string, TemplateFunction>
type Jump = 'break' | 'continue' | null

/** What is being rendered: the template's text (for positions in errors), its trees and the functions it may call. */
export interface Program {
  text: string
  templates: Templates
  functions: Functions
}

/**
 * Renders the template with Go's rules (`missingkey=zero`).
 *
 * Throws an AppError `invalid-template` with Go's text (`template: :1:3: executing "" at <.X>: …`), or when the budget is spent.
 */
export function execute(program: Program, data: Value, budget: Budget): string {
  const root = program.templates.get('')
  if (root === undefined) return ''
  const printer = new Printer(budget)
  new Execution(program, '', data, printer, budget).walk(data, root)
  return printer.text
}

/** One template at work; a template that it calls is another, with no variables of this one. */
class Execution {
  readonly #program: Program
  readonly #name: string
  readonly #printer: Printer
  readonly #budget: Budget
  readonly #variables: { name: string; value: Value }[]

  constructor(program: Program, name: string, data: Value, printer: Printer, budget: Budget) {
    this.#program = program
    this.#name = name
    this.#printer = printer
    this.#budget = budget
    this.#variables = [{ name: '$', value: data }]
  }

  walk(dot: Value, list: ListNode): Jump {
    this.#budget.enter()
    let jump: Jump = null
    for (const node of list.nodes) {
      jump = this.#statement(dot, node)
      if (jump !== null) break
    }
    this.#budget.leave()
    return jump
  }

  #statement(dot: Value, node: Statement): Jump {
    this.#budget.step()
    switch (node.kind) {
      case 'text':
        this.#printer.write(node.text)
        return null
      case 'action': {
        const value = this.#pipeline(dot, node.pipe)
        if (node.pipe.declared.length === 0) this.#print(value)
        return null
      }
      case 'if':
      case 'with':
        return this.#ifOrWith(dot, node)
      case 'range':
        return this.#range(dot, node)
      case 'template':
        this.#template(dot, node)
        return null
      case 'break':
      case 'continue':
        return node.kind
      default:
        return node satisfies never
    }
  }

  #print(value: Value): void {
    if (value === null) this.#printer.write('<no value>')
    else this.#printer.value(value, 'v', noFlags)
  }

  #ifOrWith(dot: Value, node: BranchNode): Jump {
    const scope = this.#variables.length
    const value = this.#pipeline(dot, node.pipe)
    let jump: Jump = null
    if (isTrue(value)) jump = this.walk(node.kind === 'with' ? value : dot, node.list)
    else if (node.elseList) jump = this.walk(dot, node.elseList)
    this.#variables.length = scope
    return jump
  }

  #range(dot: Value, node: BranchNode): Jump {
    const scope = this.#variables.length
    const value = this.#pipeline(dot, node.pipe)
    const { declared, isAssign } = node.pipe
    const inner = this.#variables.length
    let ran = false
    for (const [key, element] of this.#elements(node, value)) {
      ran = true
      this.#budget.step()
      const values = declared.length > 1 ? [key, element] : [element]
      for (const [i, name] of declared.entries()) {
        if (isAssign) this.#assign(name, values[i] as Value, node.pipe)
        else this.#variables[inner - declared.length + i] = { name, value: values[i] as Value }
      }
      const jump = this.walk(element, node.list)
      this.#variables.length = inner
      if (jump === 'break') break
    }
    const jump = !ran && node.elseList ? this.walk(dot, node.elseList) : null
    this.#variables.length = scope
    return jump
  }

  *#elements(node: BranchNode, value: Value): Iterable<[key: Value, element: Value]> {
    if (value === null) return
    if (value instanceof GoList) {
      for (const [i, item] of value.items.entries()) yield [BigInt(i), item]
    } else if (value instanceof GoMap) {
      yield* value.sorted()
    } else if (typeof value === 'bigint') {
      if (node.pipe.declared.length > 1) this.#fail(lastOperand(node.pipe), `can't use ${value} to iterate over more than one variable`)
      for (let i = 0n; i < value; i++) yield [null, i]
    } else {
      this.#fail(lastOperand(node.pipe), `range can't iterate over ${this.#shown(value)}`)
    }
  }

  #shown(value: Value): string {
    const printer = new Printer(this.#budget)
    printer.value(value, 'v', noFlags)
    return printer.text
  }

  #template(dot: Value, node: TemplateNode): void {
    const list = this.#program.templates.get(node.name) ?? this.#fail(node, `template ${quote(node.name)} not defined`)
    const data = node.pipe ? this.#pipeline(dot, node.pipe) : null
    new Execution(this.#program, node.name, data, this.#printer, this.#budget).walk(data, list)
  }

  #pipeline(dot: Value, pipe: PipeNode): Value {
    this.#budget.enter()
    let value: Value | undefined
    for (const command of pipe.commands) value = this.#command(dot, command, value)
    for (const name of pipe.declared) {
      if (pipe.isAssign) this.#assign(name, value as Value, pipe)
      else this.#variables.push({ name, value: value as Value })
    }
    this.#budget.leave()
    return value as Value
  }

  /** @param final the value piped in, undefined for the first command */
  #command(dot: Value, command: CommandNode, final: Value | undefined): Value {
    const [first, ...args] = command.args as [Operand, ...Operand[]]
    this.#budget.step()
    if (first.kind === 'identifier') return this.#call(dot, first.name, first, command, args, final)
    if (first.kind === 'field') return this.#fields(dot, first, first.names, args, final)
    if (first.kind === 'chain') return this.#fields(this.#chained(dot, first.node), first, first.names, args, final)
    if (first.kind === 'variable' && first.names.length > 1) return this.#fields(this.#variable(first), first, first.names.slice(1), args, final)
    if (args.length > 0 || final !== undefined) this.#fail(first.kind === 'pipe' ? command : first, `can't give argument to non-function ${show(first)}`)
    if (first.kind === 'nil') this.#fail(first, 'nil is not a command')
    return this.#operand(dot, first)
  }

  #operand(dot: Value, node: Operand): Value {
    this.#budget.step()
    switch (node.kind) {
      case 'literal':
        return node.value
      case 'dot':
        return dot
      case 'nil':
        return null
      case 'pipe':
        return this.#pipeline(dot, node)
      case 'field':
        return this.#fields(dot, node, node.names, [], undefined)
      case 'variable':
        return this.#fields(this.#variable(node), node, node.names.slice(1), [], undefined)
      case 'chain':
        return this.#fields(this.#chained(dot, node.node), node, node.names, [], undefined)
      case 'identifier':
        return this.#call(dot, node.name, node, node, [], undefined)
      default:
        return node satisfies never
    }
  }

  #chained(dot: Value, node: Operand): Value {
    if (node.kind === 'nil') this.#fail(node, `indirection through explicit nil in ${show(node)}`)
    return this.#operand(dot, node)
  }

  #fields(receiver: Value, node: Operand, names: string[], args: Operand[], final: Value | undefined): Value {
    // Nothing at all, such as the dot of `{{template "x"}}`, has every field; a nil inside the data has none.
    if (receiver === null) return null
    let value: Value = receiver
    for (const [i, name] of names.entries()) {
      const isLast = i === names.length - 1
      value = this.#field(value, name, node, isLast && (args.length > 0 || final !== undefined))
    }
    return value
  }

  #field(receiver: Value, name: string, node: Operand, hasArgs: boolean): Value {
    this.#budget.step()
    if (receiver instanceof GoMap) {
      if (hasArgs) this.#fail(node, `${name} is not a method but has arguments`)
      return receiver.get(name)
    }
    if (receiver instanceof GoStruct) {
      const method = receiver.methods.get(name)
      if (method !== undefined) {
        if (hasArgs) this.#fail(node, `wrong number of args for ${name}: want 0 got 1`)
        return method()
      }
      const field = receiver.fields.get(name)
      if (field !== undefined) {
        if (hasArgs) this.#fail(node, `${name} has arguments but cannot be invoked as function`)
        return field
      }
    }
    if (receiver === null) this.#fail(node, `nil pointer evaluating interface {}.${name}`)
    return this.#fail(node, `can't evaluate field ${name} in type ${typeName(receiver)}`)
  }

  #call(dot: Value, name: string, node: Operand, whole: Node, args: Operand[], final: Value | undefined): Value {
    const fn = this.#program.functions.get(name)
    if (fn === undefined) return this.#fail(node, `${quote(name)} is not a defined function`)
    const count = args.length + (final === undefined ? 0 : 1)
    if (fn.variadic ? count < fn.arity : count !== fn.arity) {
      this.#fail(node, `wrong number of args for ${name}: want ${fn.variadic ? `at least ${fn.arity}` : fn.arity} got ${count}`)
    }
    if (name === 'and' || name === 'or') return this.#decide(dot, name, args, final)
    const values = args.map((arg) => this.#operand(dot, arg))
    if (final !== undefined) values.push(final)
    for (const [i, value] of values.slice(0, fn.strings ?? 0).entries()) this.#checkString(value, args[i] ?? node)
    try {
      return fn.call(values, this.#budget)
    } catch (error) {
      if (error instanceof AppError || error instanceof RangeError) throw error
      return this.#fail(whole, `error calling ${name}: ${(error as Error).message}`)
    }
  }

  /** `and` and `or`: the first argument that decides, else the last. */
  #decide(dot: Value, name: 'and' | 'or', args: Operand[], final: Value | undefined): Value {
    let value: Value = null
    for (const arg of args) {
      value = this.#operand(dot, arg)
      if (isTrue(value) === (name === 'or')) return value
    }
    return final === undefined ? value : final
  }

  #checkString(value: Value, node: Operand): void {
    if (typeof value === 'string') return
    if (node.kind === 'literal') this.#fail(node, `expected string; found ${node.text}`)
    if (node.kind === 'nil') this.#fail(node, 'cannot assign nil to string')
    this.#fail(node, `wrong type for value; expected string; got ${value === null ? 'interface {}' : typeName(value)}`)
  }

  #variable(node: VariableNode): Value {
    return this.#slot(node.names[0] as string, node).value
  }

  #assign(name: string, value: Value, pipe: PipeNode): void {
    this.#slot(name, lastOperand(pipe)).value = value
  }

  #slot(name: string, node: Node): { value: Value } {
    return this.#variables.findLast((variable) => variable.name === name) ?? this.#fail(node, `undefined variable: ${name}`)
  }

  #fail(node: Node, message: string): never {
    const before = this.#program.text.slice(0, node.pos)
    const line = before.split('\n').length
    const column = Buffer.byteLength(before.slice(before.lastIndexOf('\n') + 1))
    throw new AppError('invalid-template', `template: :${line}:${column}: executing ${quote(this.#name)} at <${show(node)}>: ${message}`)
  }
}

/** Where a pipeline ends: what Go's errors about its value point at. */
function lastOperand(pipe: PipeNode): Operand {
  return pipe.commands.at(-1)?.args.at(-1) ?? pipe
}
