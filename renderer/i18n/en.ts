import { formatsOf } from './format.ts'

const { bytes, count, percent, rate, seconds } = formatsOf('en')
const messages = (n: number) => (n === 1 ? '1 older message' : `${count(n)} older messages`)

/** English, and the type that every other language satisfies. */
export const en = {
  app: {
    name: 'Paddock',
    openSidebar: 'Open the sidebar',
    closeSidebar: 'Close the sidebar',
    sidebar: 'Chats and models',
    copy: 'Copy',
    copied: 'Copied',
    copyFailed: 'Could not copy',
    tryAgain: 'Try again',
    /** A message of the program, as a sentence. */
    sentence: (message: string) => message.charAt(0).toUpperCase() + message.slice(1),
  },
  server: {
    starting: 'Starting the server…',
    listening: 'Serving this machine',
    failed: 'The server is not running',
    copyAddress: 'Copy the address',
    device: (device: string) => `on ${device}`,
  },
  chats: {
    heading: 'Chats',
    start: 'New chat',
    none: 'Your chats appear here.',
    replying: 'A reply is being written',
  },
  models: {
    heading: 'Models',
    all: 'All models',
    choose: 'Choose a model',
    current: (name: string) => `Model: ${name}. Choose another`,
    none: 'No chat model yet',
    inMemory: 'In memory',
    chat: 'Chat',
    chatWith: (name: string) => `Start a chat with ${name}`,
    forPrograms: 'Turns text into numbers for search. Programs use it over the API; it does not chat.',
    size: bytes,
    context: (tokens: number) => `${count(tokens)} tokens of context`,
    origin: ({ origin, elsewhere }: { origin: string; elsewhere: boolean }) => {
      if (elsewhere) return `Runs in ${origin}, not on this computer`
      const own: Record<string, string> = { store: 'On this computer', bundled: 'Ships with Paddock', file: 'A file on this computer' }
      return own[origin] ?? `From ${origin}`
    },
    capability: { completion: 'chat', embedding: 'embeddings', tools: 'tools', thinking: 'thinking', insert: 'fill-in', vision: 'vision', audio: 'audio' },
    lead: 'A model on this computer runs without a network.',
    loading: 'Looking for models…',
    moreHeading: 'A larger model',
    more: 'Download one by its name, or use a GGUF file where it lies:',
    moreCommands: ['paddock pull qwen3:4b', 'paddock import my-model.gguf'],
    programsHeading: 'For your programs',
    programs: 'Anything written for Ollama, OpenAI or Anthropic can use these models at this address.',
    ollama: 'Ollama clients',
    openai: 'OpenAI clients',
    anthropic: 'Anthropic clients',
  },
  chat: {
    conversation: 'Conversation',
    you: 'You',
    replyOf: (model: string) => `Reply of ${model}`,
    placeholder: (model: string) => `Message ${model}`,
    noModel: 'Choose a model first',
    message: 'Message',
    send: 'Send',
    stop: 'Stop the reply',
    hint: 'Enter sends, Shift+Enter makes a new line, Esc stops a reply.',
    latest: 'Jump to the latest',
    waiting: 'Waiting for the model…',
    loading: (model: string, fraction: number) => `Loading ${model} into memory, ${percent(fraction)}`,
    reading: (evaluated: number, all: number) => `Reading the conversation, ${count(evaluated)} of ${count(all)} tokens`,
    thinking: 'Thinking…',
    thought: (ms: number) => `Thought for ${ms < 1000 ? 'a moment' : seconds(ms)}`,
    writing: 'Writing…',
    finished: 'The reply is complete.',
    stopped: 'Stopped',
    cutAtLimit: 'Stopped at the length limit',
    failed: 'The reply failed',
    copyReply: 'Copy the reply',
    copyCode: 'Copy',
    stats: (tokens: number, ms: number) => (ms > 0 ? `${rate((tokens * 1000) / ms)} tokens/s · ${count(tokens)} tokens` : `${count(tokens)} tokens`),
    truncated: (droppedMessages: number, droppedTokens: number, contextLength: number) =>
      `${droppedMessages > 0 ? messages(droppedMessages) : `The middle of the text (${count(droppedTokens)} tokens)`} did not fit into ${count(contextLength)} tokens of context and ${droppedMessages > 1 ? 'were' : 'was'} left out.`,
    gone: 'This chat is gone. Chats are kept until Paddock quits.',
  },
  welcome: {
    heading: 'What is on your mind?',
    privacy: 'What you write stays on this computer. No account, no network.',
    elsewhere: (engine: string) => `What you write goes to ${engine}, where this model runs.`,
    small: (name: string, size: string) => `${name} is a very small model (${size} parameters).`,
    goodFor: 'Good for short answers, rephrasing a sentence, a first try of your own programs against the server. Not for facts, code or long reasoning.',
    larger: 'Use a larger model',
    ideas: ['Write a two-line thank-you note to a neighbour', 'What is a paddock? One sentence, please', 'Name three things to pack for a day at the lake'],
    ideasLabel: 'Things to try',
    address: 'Programs on this computer reach your models at',
  },
}

export type Text = typeof en
