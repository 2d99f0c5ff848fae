import type { ListNode, Node, Statement } from './nodes.ts'
import { visit } from './walk.ts'

/** The template up to where it writes `.Response`, which the model is to continue: what follows it, in its branch and after, goes. */
export function cutAtResponse(root: ListNode): ListNode {
  return cutList(root).list
}

function cutList(list: ListNode): { list: ListNode; isCut: boolean } {
  const nodes: Statement[] = []
  for (const node of list.nodes) {
    const cut = cutStatement(node)
    nodes.push(cut.node)
    if (cut.isCut) return { list: { ...list, nodes }, isCut: true }
  }
  return { list, isCut: false }
}

function cutStatement(node: Statement): { node: Statement; isCut: boolean } {
  if (node.kind === 'action') return { node, isCut: writesResponse(node) }
  if (node.kind !== 'if' && node.kind !== 'with' && node.kind !== 'range') return { node, isCut: false }
  const main = cutList(node.list)
  const other = node.elseList && cutList(node.elseList)
  return { node: { ...node, list: main.list, elseList: other?.list ?? null }, isCut: main.isCut || other?.isCut === true }
}

function writesResponse(action: Node): boolean {
  let found = false
  visit(action, (node) => {
    if (node.kind === 'field' && node.names.includes('Response')) found = true
  })
  return found
}
