import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { carrier } from '../electron/launch.ts'
import { endedReply, openApp, resize, say } from './open-app.ts'

const folder = path.resolve(import.meta.dirname, '../../out/screens')

describe.runIf(carrier !== null)('every screen', () => {
  test('fits a narrow and a wide window by day and by night (pictures in out/screens)', async () => {
    mkdirSync(folder, { recursive: true })
    await using open = await openApp()
    const { app, page } = open

    async function look(screen: string): Promise<void> {
      for (const [size, width, height] of [
        ['wide', 1080, 760],
        ['narrow', 400, 760],
      ] as const) {
        await resize(app, page, width, height)
        for (const colorScheme of ['light', 'dark'] as const) {
          await page.emulateMedia({ colorScheme })
          await page.screenshot({ path: path.join(folder, `${screen}-${size}-${colorScheme}.png`), animations: 'disabled' })
        }
        expect(
          await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
          `${screen}, ${size}: nothing hangs over the edge`,
        ).toBeLessThanOrEqual(0)
      }
      await resize(app, page, 1080, 760)
    }

    await look('welcome')
    await page.getByRole('button', { name: 'All models' }).click()
    await page.getByRole('article', { name: 'cria:latest' }).waitFor()
    await look('models')
    await page.keyboard.press('Control+n')
    await say(page, 'Show me some markdown.')
    await endedReply(page).getByText('A heading').waitFor()
    await look('chat')
    expect(open.complaints).toEqual([])
  })

  test('on a narrow window the sidebar comes and goes by the keyboard', async () => {
    await using open = await openApp()
    const { app, page } = open
    await resize(app, page, 400, 760)
    const chats = page.getByRole('navigation', { name: 'Chats and models' })
    await expect.poll(() => chats.isVisible()).toBe(false)
    await page.getByRole('button', { name: 'Open the sidebar' }).press('Enter')
    await expect.poll(() => chats.isVisible()).toBe(true)
    await page.keyboard.press('Escape')
    await expect.poll(() => chats.isVisible()).toBe(false)
  })
})
