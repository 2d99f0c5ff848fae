/** What `/?` says. */
export const helpText = `Available Commands:
  /set            Set session variables
  /show           Show what the model is
  /load <model>   Go on with another model
  /save <model>   Save this session as a model
  /list           List the models of this machine
  /clear          Forget the conversation
  /bye            Exit
  /?, /help       Help for a command
  /? shortcuts    Help for keyboard shortcuts

Use """ to begin a multi-line message.
`

/** What `/? set` says. */
export const setHelp = `Available Commands:
  /set parameter <name> <value…>   Set a parameter, such as temperature 0.5
  /set system <text>               Set the system message
  /set history                     Keep what is typed for the next time
  /set nohistory                   Do not keep what is typed
  /set wordwrap                    Move long words to the next line
  /set nowordwrap                  Let the terminal break lines
  /set format json                 Let the model write JSON
  /set noformat                    Let the model write anything
  /set verbose                     Show counts and times
  /set quiet                       Show the reply only
  /set think [low|medium|high|max] Let the model think first
  /set nothink                     Do not let it think
`

/** What `/? show` says. */
export const showHelp = `Available Commands:
  /show info         Show what the model is
  /show license      Show its license
  /show modelfile    Show a Modelfile that makes it again
  /show parameters   Show its parameters and those of this session
  /show system       Show the system message
  /show template     Show the prompt template
`

/** What `/? shortcuts` says. */
export const shortcutsHelp = `Available keyboard shortcuts:
  Ctrl + a            Move to the beginning of the line
  Ctrl + e            Move to the end of the line
  Alt + b             Move back one word
  Alt + f             Move forward one word
  Ctrl + k            Delete to the end of the line
  Ctrl + u            Delete to the beginning of the line
  Ctrl + w            Delete the word before the cursor
  Up, Down            Go through what was typed before

  Ctrl + l            Clear the screen
  Ctrl + g            Edit the message in an editor (OLLAMA_EDITOR)
  Ctrl + c            Stop the reply
  Ctrl + d            Exit (or /bye)
`
