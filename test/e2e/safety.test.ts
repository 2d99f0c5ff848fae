import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { carrier } from '../electron/launch.ts'
import { type OpenApp, openApp } from './open-app.ts'

describe.runIf(carrier !== null)('the page', () => {
  let open: OpenApp
  beforeAll(async () => {
    open = await openApp()
  })
  afterAll(async () => {
    await open[Symbol.asyncDispose]()
  })

  test('sees no Node, no Electron and nothing of the bridge but two functions', async () => {
    const seen = await open.page.evaluate(() => ({
      node: ['require', 'process', 'module', 'Buffer', 'ipcRenderer', '__toNode', '__fromNode'].filter((name) => name in window),
      bridge: Object.keys((window as unknown as { paddock: object }).paddock).sort(),
      frozen: Object.isFrozen((window as unknown as { paddock: object }).paddock),
    }))
    expect(seen).toEqual({ node: [], bridge: ['receive', 'send'], frozen: true })
  })

  test('runs no script, shows no picture and opens no connection that is not ours', async () => {
    const seen = await open.page.evaluate(async () => {
      const directives = new Set<string>()
      document.addEventListener('securitypolicyviolation', (event) => directives.add(event.effectiveDirective))
      const refused: string[] = []
      const attempt = (what: string, action: () => void) => {
        try {
          action()
        } catch (error) {
          refused.push(`${what}: ${(error as Error).name}`)
        }
      }
      const script = document.createElement('script')
      attempt('script of another host', () => {
        script.src = 'https://evil.example/x.js'
      })
      attempt('script in the page', () => {
        script.textContent = 'window.ran = true'
      })
      const button = document.createElement('b')
      attempt('handler in an attribute', () => button.setAttribute('onclick', 'window.ran = true'))
      attempt('HTML', () => document.body.insertAdjacentHTML('beforeend', '<p>raw</p>'))
      const picture = new Image()
      picture.src = 'https://evil.example/x.png?secret'
      const frame = document.createElement('iframe')
      frame.src = 'https://evil.example/'
      const added = [script, button, picture, frame]
      document.body.append(...added)
      button.click()
      const fetched = await fetch('http://127.0.0.1:11434/api/tags').then(
        () => 'answered',
        () => 'refused',
      )
      // The refusals of the picture, the frame and the connection come when the browser has got to them.
      for (let waited = 0; directives.size < 4 && waited < 200; waited++) await new Promise((resolve) => setTimeout(resolve, 50))
      for (const element of added) element.remove()
      return { blocked: [...directives].sort(), refused, ran: 'ran' in window, fetched }
    })
    expect(seen).toEqual({
      blocked: ['connect-src', 'frame-src', 'img-src', 'require-trusted-types-for'],
      refused: ['script of another host: TypeError', 'script in the page: TypeError', 'handler in an attribute: TypeError', 'HTML: TypeError'],
      ran: false,
      fetched: 'refused',
    })
  })

  test('opens a link outside, and stays where it is', async () => {
    const { app, page } = open
    await app.evaluate(({ shell }) => {
      const opened: string[] = []
      Object.assign(globalThis, { opened })
      shell.openExternal = async (url) => {
        opened.push(url)
      }
    })
    const before = page.url()
    await page.evaluate(() => {
      const link = (href: string, target: string) => {
        const anchor = Object.assign(document.createElement('a'), { href, target })
        document.body.append(anchor)
        anchor.click()
        anchor.remove()
      }
      link('https://example.com/read', '_blank')
      link('file:///etc/passwd', '_blank')
      link('https://example.com/away', '')
    })
    await expect.poll(() => app.evaluate(() => (globalThis as unknown as { opened: string[] }).opened)).toEqual(['https://example.com/read'])
    await page.waitForTimeout(200)
    expect(page.url()).toBe(before)
    expect(await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows().length)).toBe(1)
    await page.getByRole('textbox', { name: 'Message' }).waitFor()
  })

  test('a bridge that is spoken to wrongly refuses, and goes on', async () => {
    const answers = await open.page.evaluate(async () => {
      const { paddock } = window as unknown as { paddock: { send(message: unknown): void; receive(listener: (message: unknown) => void): void } }
      const heard: unknown[] = []
      paddock.receive((message) => heard.push(message))
      for (const message of [null, 7, 'x', { type: 'open' }, { type: 'nope', id: 1 }]) paddock.send(message)
      paddock.send({ type: 'open', id: 9001, name: 'constructor', input: {} })
      paddock.send({ type: 'open', id: 9002, name: 'chats.send', input: { chatId: '../x', model: 5 } })
      paddock.send({ type: 'open', id: 9003, name: 'models.list', input: undefined })
      for (let waited = 0; heard.length < 3 && waited < 100; waited++) await new Promise((resolve) => setTimeout(resolve, 50))
      return (heard as { id: number; type: string; error?: { code: string } }[]).map(({ id, type, error }) => [id, type, error?.code ?? '']).sort()
    })
    expect(answers).toEqual([
      [9001, 'error', 'invalid-request'],
      [9002, 'error', 'invalid-request'],
      [9003, 'value', ''],
    ])
    await open.page.reload()
    await open.page.getByRole('textbox', { name: 'Message' }).waitFor()
  })

  test.runIf(carrier === 'the double')('asked for nothing outside its bundle, but what the policy stopped', async () => {
    // Links and frames of the tests above were stopped before or at the network; nothing of the app's own is among them.
    const stray = await open.app.evaluate(({ strayRequests }) => [...strayRequests])
    expect(stray.filter((url) => !/^https:\/\/(evil\.example|example\.com)\//.test(url))).toEqual([])
  })
})
