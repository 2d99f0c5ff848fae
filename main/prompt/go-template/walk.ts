import type { Node } from './nodes.ts'
import type { Templates } from './parser.ts'

/** The nodes directly inside this one, in the order of the source. */
export function children(node: Node): Node[] {
  switch (node.kind) {
    case 'list':
      return node.nodes
    case 'action':
      return [node.pipe]
    case 'if':
    case 'with':
    case 'range':
      return [node.pipe, node.list, ...(node.elseList ? [node.elseList] : [])]
    case 'template':
      return node.pipe ? [node.pipe] : []
    case 'pipe':
      return node.commands
    case 'command':
      return node.args
    case 'chain':
      return [node.node]
    default:
      return []
  }
}

/** Every node in the order of the source, each with those that contain it, outermost first. */
export function visit(node: Node, enter: (node: Node, ancestors: readonly Node[]) => void, ancestors: Node[] = []): void {
  ancestors.push(node)
  enter(node, ancestors)
  for (const child of children(node)) visit(child, enter, ancestors)
  ancestors.pop()
}

/** Names of all fields and variables that the templates use, in lower case. */
export function usedNames(templates: Templates): Set<string> {
  const names = new Set<string>()
  for (const list of templates.values()) {
    visit(list, (node) => {
      if (node.kind === 'field' || node.kind === 'variable' || node.kind === 'chain') for (const name of node.names) names.add(name.toLowerCase())
    })
  }
  return names
}
