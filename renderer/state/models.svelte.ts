import type { ModelEntry } from '../../main/bridge/contract.ts'
import type { PlainError } from '../../main/errors.ts'
import { type Bridge, plainError } from '../bridge.ts'

const storageKey = 'paddock.model'

/** The models of this machine, and the one that the next message goes to. */
export class Models {
  readonly #bridge: Bridge
  readonly #storage: Pick<Storage, 'getItem' | 'setItem'>
  /** null until the first answer. */
  list = $state.raw<ModelEntry[] | null>(null)
  error = $state.raw<PlainError | null>(null)
  #wanted = $state<string | null>(null)

  constructor(bridge: Bridge, storage: Pick<Storage, 'getItem' | 'setItem'>) {
    this.#bridge = bridge
    this.#storage = storage
    this.#wanted = storage.getItem(storageKey)
  }

  /** Those that can chat. */
  get forChat(): ModelEntry[] {
    return (this.list ?? []).filter(({ capabilities }) => capabilities.includes('completion'))
  }

  /** The one that the user chose last, if it is still there; else one that can run now. */
  get selected(): string | null {
    const models = this.forChat
    const model = models.find(({ name }) => name === this.#wanted) ?? models.find(({ problem }) => problem === null) ?? models[0]
    return model?.name ?? null
  }

  select(name: string): void {
    this.#wanted = name
    this.#storage.setItem(storageKey, name)
  }

  async refresh(): Promise<void> {
    try {
      this.list = await this.#bridge.call('models.list')
      this.error = null
    } catch (error) {
      this.error = plainError(error)
    }
  }
}
