import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { carrier } from '../electron/launch.ts'
import { addEndlessModel } from '../helpers/endless.ts'
import { addModel, criaFile } from '../helpers/library.ts'
import { startTestServer } from '../helpers/test-server.ts'
import { chooseModel, endedReply, type OpenApp, openApp, say } from './open-app.ts'

describe.runIf(carrier !== null)('the window', () => {
  let open: OpenApp
  beforeAll(async () => {
    open = await openApp()
    await addEndlessModel(open.url)
  })
  afterAll(async () => {
    await open[Symbol.asyncDispose]()
  })

  test('lists the models that ship and those that were added', async () => {
    const { page } = open
    await page.getByRole('button', { name: 'All models' }).click()
    await expect
      .poll(() => page.locator('main article').evaluateAll((cards) => cards.map((card) => card.getAttribute('aria-label')).sort()))
      .toEqual(['all-minilm:latest', 'cria:latest', 'endless:latest', 'smollm2:135m'])
    expect(await page.getByRole('article', { name: 'smollm2:135m' }).innerText()).toContain('Ships with Paddock')
    expect(await page.getByRole('article', { name: 'all-minilm:latest' }).getByRole('button').count()).toBe(0)
  })

  test('answers a message with Markdown, its speed, and a way to copy it', async () => {
    const { page } = open
    await chooseModel(page, 'cria:latest')
    await say(page, 'Show me a table of planets.')
    const reply = endedReply(page)
    await reply.waitFor()
    expect(await reply.getByRole('table').innerText()).toContain('Jupiter')
    expect(await reply.innerText()).toMatch(/tokens\/s · \d+ tokens/)
    expect(await reply.getByRole('button', { name: 'Copy the reply' }).isVisible()).toBe(true)
    expect(await page.title()).toBe('Show me a table of planets. – Paddock')
  })

  test('goes on with the conversation, and shows its thinking folded away', async () => {
    const { page } = open
    await say(page, 'What is 3 plus 4?')
    const reply = endedReply(page)
    await expect.poll(() => page.locator('article[aria-busy="false"]').count()).toBe(2)
    await reply.getByText(/^Thought for/).click()
    expect((await reply.locator('details p').innerText()).length).toBeGreaterThan(3)
    expect(await page.getByRole('article', { name: 'You' }).allInnerTexts()).toEqual(['Show me a table of planets.', 'What is 3 plus 4?'])
  })

  test('shift and enter make a new line', async () => {
    const { page } = open
    const field = page.getByRole('textbox', { name: 'Message' })
    await field.fill('one')
    await page.keyboard.press('Shift+Enter')
    await page.keyboard.type('two')
    expect(await field.inputValue()).toBe('one\ntwo')
    await field.fill('')
  })

  test.for(['button', 'Escape'] as const)('streams, and stops by %s with what was written', async (how) => {
    const { page } = open
    await chooseModel(page, 'endless:latest')
    await say(page, 'Go on for ever.')
    const reply = page.locator('article[aria-busy="true"]')
    const length = async () => (await reply.locator('.markdown').innerText()).length
    await expect.poll(length).toBeGreaterThan(5)
    const early = await length()
    await expect.poll(length).toBeGreaterThan(early)
    if (how === 'button') await page.getByRole('button', { name: 'Stop the reply' }).click()
    else await page.keyboard.press('Escape')
    await endedReply(page).getByText('Stopped', { exact: true }).waitFor()
    const written = await endedReply(page).locator('.markdown').innerText()
    expect(written.length).toBeGreaterThan(early)
    await expect.poll(async () => (await fetch(`${open.url}/api/ps`).then((answer) => answer.json())).models.length).toBeGreaterThan(0)
  })

  test('a reload in the middle of a reply loses nothing of it', async () => {
    const { page } = open
    await chooseModel(page, 'endless:latest')
    await say(page, 'Go on, whoever watches.')
    const words = page.locator('article[aria-busy="true"] .markdown')
    await expect.poll(async () => (await words.innerText()).length).toBeGreaterThan(20)
    const before = (await words.innerText()).slice(0, 20)
    await page.reload()
    await expect.poll(async () => (await words.innerText()).length).toBeGreaterThan(20)
    expect((await words.innerText()).slice(0, 20)).toBe(before)
    expect(await page.getByRole('article', { name: 'You' }).innerText()).toBe('Go on, whoever watches.')
    await page.keyboard.press('Escape')
    await endedReply(page).getByText('Stopped', { exact: true }).waitFor()
  })

  test('a reply goes on while another chat is looked at', async () => {
    const { page } = open
    await chooseModel(page, 'endless:latest')
    await say(page, 'Work in the background.')
    const words = page.locator('article[aria-busy="true"] .markdown')
    await expect.poll(async () => (await words.innerText()).length).toBeGreaterThan(5)
    await page.getByRole('button', { name: 'Show me a table of planets.' }).click()
    await page.getByRole('table').waitFor()
    expect(await page.getByRole('img', { name: 'A reply is being written' }).count()).toBe(1)
    await page.getByRole('button', { name: /^Work in the background/ }).click()
    await expect.poll(async () => (await words.innerText()).length).toBeGreaterThan(5)
    await page.keyboard.press('Escape')
    await endedReply(page).getByText('Stopped', { exact: true }).waitFor()
  })

  test('a model that was deleted meanwhile fails with its reason, and another one answers on a second try', async () => {
    const { page, url } = open
    await fetch(`${url}/api/copy`, { method: 'POST', body: JSON.stringify({ source: 'cria', destination: 'leaving' }) })
    await chooseModel(page, 'leaving:latest')
    await fetch(`${url}/api/delete`, { method: 'DELETE', body: JSON.stringify({ model: 'leaving' }) })
    await say(page, 'What is the capital of France?')
    const alert = page.getByRole('alert')
    await alert.waitFor()
    expect(await alert.innerText()).toContain("'leaving:latest' not found")
    await page.keyboard.press('Control+l')
    await page.keyboard.press('c')
    await page.keyboard.press('Enter')
    await alert.getByRole('button', { name: 'Try again' }).click()
    await page.getByText('The capital of France is Paris.').waitFor()
    expect(await page.getByRole('alert').count()).toBe(0)
  })

  test('a conversation that outgrows the context says what was left out', async () => {
    const { page, url } = open
    await addModel(url, 'narrow', criaFile, { parameters: { temperature: 0, num_ctx: 256, num_predict: 8 } })
    await chooseModel(page, 'narrow:latest')
    const long = `What is the capital of France? ${'Take your time. '.repeat(24)}`
    await say(page, long)
    await expect.poll(() => page.locator('article[aria-busy="false"]').count()).toBe(1)
    await say(page, long)
    const note = endedReply(page).getByRole('note')
    await note.waitFor()
    expect(await note.innerText()).toMatch(/^\d older messages? did not fit into 256 tokens of context and (was|were) left out\.$/)
  })

  test('a model of an engine elsewhere says where it runs and what goes there; once that is down, why it does not', { timeout: 120_000 }, async () => {
    const { page, url } = open
    const other = await startTestServer()
    await fetch(`${url}/api/upstreams`, { method: 'POST', body: JSON.stringify({ name: 'attic', url: other.url }) })
    await chooseModel(page, 'attic/smollm2:135m')
    await page.getByText('What you write goes to attic, where this model runs.').waitFor()
    await page.getByRole('button', { name: 'All models' }).click()
    const card = page.getByRole('article', { name: 'attic/smollm2:135m' })
    expect(await card.innerText()).toContain('Runs in attic, not on this computer')
    await other[Symbol.asyncDispose]()
    // What an engine was seen to have counts for fifteen seconds.
    await expect
      .poll(
        async () => {
          await page.evaluate(() => window.dispatchEvent(new Event('focus')))
          return await card.getByRole('button').count()
        },
        { timeout: 60_000 },
      )
      .toBe(0)
    await fetch(`${url}/api/upstreams/attic`, { method: 'DELETE' })
  })

  test('all of this without a complaint of the page', () => {
    expect(open.complaints).toEqual([])
  })
})
