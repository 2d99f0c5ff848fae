import type { BranchNode, ListNode, Node, Statement } from './nodes.ts'
import { visit } from './walk.ts'

/** What a template writes around thinking. */
export interface ThinkingTags {
  open: string
  close: string
}

/**
 * The tags around thinking, as Ollama finds them: inside a range over `.Messages`, the list nearest to a `.Thinking` begins
 * and ends with them. A list that lacks one of the two leaves what an earlier one gave.
 */
export function findThinkingTags(root: ListNode): ThinkingTags | null {
  const tags = { open: '', close: '' }
  visit(root, (node, ancestors) => {
    if (node.kind !== 'field' || node.names[0] !== 'Thinking') return
    const range = ancestors.findLast((ancestor): ancestor is BranchNode => ancestor.kind === 'range')
    if (range === undefined || !rangesOver(range, 'Messages')) return
    const list = ancestors.findLast((ancestor): ancestor is ListNode => ancestor.kind === 'list')
    const [first, last] = [list?.nodes[0], list?.nodes.at(-1)]
    if (first?.kind === 'text') tags.open = first.text.trim()
    if (last?.kind === 'text') tags.close = last.text.trim()
  })
  return tags.open !== '' && tags.close !== '' ? tags : null
}

function rangesOver(range: BranchNode, name: string): boolean {
  let found = false
  visit(range.pipe, (node) => {
    if (node.kind === 'field' && node.names[0] === name) found = true
  })
  return found
}

/** What a tool call begins with: the first text inside `if .ToolCalls`, up to a `{`; `{` where there is none. */
export function findToolCallTag(root: ListNode): string {
  const branch = findToolCalls(root.nodes)
  const text = branch && firstText(branch.list.nodes)
  const tag = (text ?? '').replaceAll('\r\n', '\n').split('{')[0] as string
  return tag.trim() || '{'
}

function findToolCalls(nodes: Statement[]): BranchNode | null {
  for (const node of nodes) {
    if (node.kind !== 'if' && node.kind !== 'with' && node.kind !== 'range') continue
    if (node.kind === 'if' && mentions(node.pipe, 'ToolCalls')) return node
    const inside = findToolCalls(node.list.nodes) ?? findToolCalls(node.elseList?.nodes ?? [])
    if (inside) return inside
  }
  return null
}

function mentions(node: Node, name: string): boolean {
  let found = false
  visit(node, (inner) => {
    if (inner.kind === 'field' && inner.names.includes(name)) found = true
  })
  return found
}

/** The first text that is not blank, before anything is interpolated. */
function firstText(nodes: Statement[]): string | null {
  for (const node of nodes) {
    if (node.kind === 'text' && node.text.trim() !== '') return node.text
    if (node.kind === 'action') return null
    if (node.kind === 'if' || node.kind === 'with' || node.kind === 'range') return firstText(node.list.nodes) ?? firstText(node.elseList?.nodes ?? [])
  }
  return null
}
