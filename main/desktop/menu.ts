import { Menu, type MenuItemConstructorOptions } from 'electron'

/** The menu bar: what the system's habits ask for. The window's own keys are the page's. */
export function applicationMenu({ devTools }: { devTools: boolean }): Menu {
  const view: MenuItemConstructorOptions[] = [
    { role: 'resetZoom' },
    { role: 'zoomIn' },
    { role: 'zoomOut' },
    { type: 'separator' },
    { role: 'togglefullscreen' },
    ...(devTools ? ([{ type: 'separator' }, { role: 'toggleDevTools' }] satisfies MenuItemConstructorOptions[]) : []),
  ]
  return Menu.buildFromTemplate([
    ...(process.platform === 'darwin'
      ? ([{ role: 'appMenu' }] satisfies MenuItemConstructorOptions[])
      : ([{ label: 'File', submenu: [{ role: 'close' }, { type: 'separator' }, { id: 'quit', role: 'quit' }] }] satisfies MenuItemConstructorOptions[])),
    { role: 'editMenu' },
    { label: 'View', submenu: view },
    { role: 'windowMenu' },
  ])
}
