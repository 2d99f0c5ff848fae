import path from 'node:path'
import type { Page } from 'playwright'
import { launch, type RunningApp } from '../electron/launch.ts'
import { addModel, criaFile } from '../helpers/library.ts'
import { temporaryFolder } from '../helpers/temporary-folder.ts'

export interface OpenApp extends AsyncDisposable {
  app: RunningApp
  page: Page
  /** Of its server. */
  url: string
  /** What the page complained of. */
  complaints: string[]
  env: Record<string, string>
}

/** The app as its user meets it the first time, in folders of its own, with the tests' model beside those that ship. */
export async function openApp({ env: more = {} }: { env?: Record<string, string> } = {}): Promise<OpenApp> {
  await using stack = new AsyncDisposableStack()
  const home = stack.use(await temporaryFolder()).path
  const env = { PADDOCK_HOME: home, OLLAMA_MODELS: path.join(home, 'models'), OLLAMA_HOST: '127.0.0.1:0', PADDOCK_ORIGINS: 'none', ...more }
  const app = stack.use(await launch({ env }))
  const page = await app.firstWindow()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  const url = await page.locator('.welcome code').innerText()
  await addModel(url, 'cria', criaFile, { parameters: { temperature: 0 } })
  await chooseModel(page, 'cria:latest')
  const owned = stack.move()
  return { app, page, url, complaints, env, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** Starts a new chat with a model, by the sidebar. */
export async function chooseModel(page: Page, name: string): Promise<void> {
  await page.evaluate(() => window.dispatchEvent(new Event('focus')))
  await page
    .getByRole('navigation')
    .getByRole('button', { name: `Start a chat with ${name}` })
    .click()
}

/** Sends a message by the keyboard, as one does. */
export async function say(page: Page, text: string): Promise<void> {
  await page.getByRole('textbox', { name: 'Message' }).fill(text)
  await page.keyboard.press('Enter')
}

/** The last reply, once it has ended. */
export function endedReply(page: Page) {
  return page.locator('article[aria-busy="false"]').last()
}

/** Sizes the window's content. */
export async function resize(app: RunningApp, page: Page, width: number, height: number): Promise<void> {
  await app.evaluate(({ BrowserWindow }, size) => BrowserWindow.getAllWindows()[0]?.setContentSize(size.width, size.height), { width, height })
  await page.waitForFunction((wanted) => Math.abs(innerWidth - wanted) < 2, width)
}
