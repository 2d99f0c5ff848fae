import { en, type Text } from './en.ts'

/** What the window says, in the language of its user; English is the only one so far. */
export const text: Text = en
