import { once } from 'node:events'
import { createServer } from 'node:http'
import { describe, expect, test } from 'vitest'
import { carrier, launch, launchSecond } from '../electron/launch.ts'
import { freePort } from '../helpers/free-port.ts'
import { family, stillRunning } from '../helpers/processes.ts'
import { temporaryFolder } from '../helpers/temporary-folder.ts'
import { endedReply, openApp, say } from './open-app.ts'

const isVisible = ({ BrowserWindow }: typeof import('electron')) => BrowserWindow.getAllWindows().map((window) => window.isVisible())

describe.runIf(carrier !== null)('the app', () => {
  test('closing the window leaves the server running; a second start brings it back, with its chat', async () => {
    await using open = await openApp()
    const { app, page, url, env } = open
    await say(page, 'What is the capital of France?')
    await endedReply(page).getByText('Paris').waitFor()
    await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close())
    await expect.poll(() => app.evaluate(isVisible)).toEqual([false])
    expect((await fetch(`${url}/api/version`)).status).toBe(200)
    if (carrier === 'the double') {
      expect(await app.evaluate(({ recorded }) => recorded.notifications.map(({ title }) => title))).toEqual(['Paddock keeps serving'])
      expect(await launchSecond({ env })).toBe(0)
    } else await app.evaluate(({ app }) => app.emit('second-instance'))
    await expect.poll(() => app.evaluate(isVisible)).toEqual([true])
    expect(await endedReply(page).innerText()).toContain('Paris')
  })

  test('quitting ends the server and every process', async () => {
    const open = await openApp()
    await say(open.page, 'What is the capital of France?')
    await endedReply(open.page).getByText('Paris').waitFor()
    const members = await family(open.app.process().pid ?? 0)
    expect(members.length).toBeGreaterThan(2)
    expect(await open.app.close()).toBe(0)
    await expect.poll(() => stillRunning(members)).toEqual([])
    await expect(fetch(`${open.url}/api/version`)).rejects.toThrow()
    await open[Symbol.asyncDispose]()
  })

  test.runIf(carrier === 'the double')('the tray names the address and what is in memory, opens, copies and quits', async () => {
    await using open = await openApp()
    const { app, page, url } = open
    const labels = () => app.evaluate(({ recorded }) => recorded.trays[0]?.menu?.items.map(({ label }) => label ?? '-'))
    const address = url.replace('http://', '')
    expect(await labels()).toEqual([`Serving at ${address}`, '-', 'Open Paddock', 'Copy Address', '-', 'Quit Paddock'])
    await say(page, 'What is the capital of France?')
    await endedReply(page).getByText('Paris').waitFor()
    await expect.poll(async () => (await labels())?.[0]).toBe(`Serving at ${address} · cria:latest`)
    const click = (id: string) => app.evaluate(({ recorded }, wanted) => recorded.trays[0]?.menu?.click(wanted), id)
    await click('copy')
    expect(await app.evaluate(({ recorded }) => recorded.copied)).toBe(url)
    await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close())
    await click('open')
    await expect.poll(() => app.evaluate(isVisible)).toEqual([true])
    await click('quit')
    expect(await open.app.close()).toBe(0)
  })

  test('a port that is taken is named in the window, and the next try succeeds once it is free', async () => {
    const port = await freePort()
    const other = createServer((_, response) => response.end('something else')).listen(port, '127.0.0.1')
    await once(other, 'listening')
    await using home = await temporaryFolder()
    await using app = await launch({ env: { PADDOCK_HOME: home.path, OLLAMA_HOST: `127.0.0.1:${port}`, PADDOCK_ORIGINS: 'none' } })
    const page = await app.firstWindow()
    const alert = page.getByRole('alert')
    await alert.waitFor()
    expect(await alert.innerText()).toContain(String(port))
    other.close()
    await alert.getByRole('button', { name: 'Try again' }).click()
    await page.getByText('Serving this machine').waitFor()
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200)
    await page.getByRole('button', { name: 'Start a chat with smollm2:135m' }).waitFor()
  })
})
