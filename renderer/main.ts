import './styles/tokens.css'
import './styles/base.css'
import { mount } from 'svelte'
import App from './App.svelte'
import { Bridge, type Wire } from './bridge.ts'
import { Shell } from './state/shell.svelte.ts'

declare global {
  interface Window {
    /** What the preload script leaves here. */
    paddock: Wire
  }
}

const target = document.querySelector('#app')
if (target === null) throw new Error('index.html has no #app')
mount(App, { target, props: { shell: new Shell(new Bridge(window.paddock), window.localStorage) } })
