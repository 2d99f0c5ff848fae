import { afterAll, describe, expect, test } from 'vitest'
import { familyOf } from '../../../../main/prompt/parsers/families.ts'
import { promptTemplate } from '../../../../main/prompt/template.ts'
import { familyReplies } from '../../../fixtures/replies/index.ts'
import { realTemplate, realTemplates, startRenderer } from '../../../helpers/real-templates.ts'
import { cutFaults, eventsOf, fixtureTools, type Reply, randomCuts } from '../../../helpers/replies.ts'

const renderer = startRenderer()
const never = new AbortController().signal
afterAll(() => renderer[Symbol.asyncDispose]())

const readable = familyReplies.filter(({ template }) => typeof template !== 'string' || realTemplates.includes(template))
if (readable.length < familyReplies.length) console.info('left out: the real templates need git to be unpacked')

/** Reads replies as a server would: behind the prompt that the template renders. */
async function reader(jinja: string, { think = true, tools = fixtureTools }: Reply) {
  const template = promptTemplate({ go: null, jinja, render: renderer.render, specials: { bosText: '<s>', eosText: '</s>' } })
  const messages = [{ role: 'user', content: 'Go on.' }]
  const prompt = await template.render({ messages, tools, think }, never)
  return (pieces: string | string[], isCut = false) => eventsOf(template.parser({ tools, think, prompt, messages }), pieces, isCut)
}

for (const { family, template, replies } of readable) {
  const jinja = typeof template === 'string' ? await realTemplate(template) : template.text

  describe(`${family}, ${typeof template === 'string' ? template : 'own template'}`, () => {
    test('the template belongs to the family', () => {
      expect(familyOf(jinja)?.name).toBe(family)
    })

    test.each(replies)('$claim', async (reply) => {
      const read = await reader(jinja, reply)
      expect(read(reply.reply)).toEqual(reply.events)
    })

    test.each(replies)('$claim: the same in any cutting', async (reply) => {
      const read = await reader(jinja, reply)
      expect(read([...reply.reply].flatMap((character) => character.split('')))).toEqual(reply.events)
      for (let seed = 0; seed < 60; seed++) expect(read(randomCuts(reply.reply, seed)), `seed ${seed}`).toEqual(reply.events)
    })

    test.each(replies)('$claim: broken off anywhere, no mark is seen and no call is lost', async (reply) => {
      const read = await reader(jinja, reply)
      const { starts = [], announces = [], silent = [] } = familyOf(jinja)?.format ?? {}
      const others = typeof silent === 'function' ? [] : silent
      const marks = [...announces, ...starts.filter((start) => !others.some((other) => other.startsWith(start)))]
      expect(cutFaults((text) => read(text, true), reply.reply, marks)).toEqual([])
    })
  })
}
