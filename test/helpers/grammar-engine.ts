import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

interface NativeGrammar {
  isTextCompatible(text: string): boolean
}

const require = createRequire(import.meta.url)
const build = `${process.platform}-${process.arch}`.replace('darwin-arm64', 'mac-arm64-metal').replace('darwin', 'mac').replace('win32', 'win')
const { AddonGrammar } = require(join(dirname(require.resolve(`@node-llama-cpp/${build}`)), '..', 'bins', build, 'llama-addon.node')) as {
  AddonGrammar: new (gbnf: string, options: { rootRuleName: string }) => NativeGrammar
}

/** Whether llama.cpp's own grammar engine takes each text as a whole; throws if it does not take the grammar. */
export function accepts(gbnf: string, ...texts: string[]): boolean[] {
  const grammar = new AddonGrammar(gbnf, { rootRuleName: 'root' })
  return texts.map((text) => grammar.isTextCompatible(text))
}
