import { type Command, printLine, UsageError } from './kit/command.ts'

type Commands = Readonly<Record<string, Command>>

const shells: Readonly<Record<string, (commands: Commands) => string>> = { bash, zsh, fish }

/** The shell completion of commands and options. `commands` is a function, since this is one of them. */
export function completionOf(commands: () => Commands): Command {
  return {
    usage: `  walhook completion bash|zsh|fish    print the shell completion of walhook's commands and options:
                                      source <(walhook completion bash) in ~/.bashrc, the same with zsh in ~/.zshrc,
                                      walhook completion fish | source in ~/.config/fish/config.fish`,
    words: Object.keys(shells),
    async run([name, ...more]) {
      const shell = name !== undefined && Object.hasOwn(shells, name) && shells[name]
      if (!shell || more.length > 0)
        throw new UsageError(`completion takes one of ${Object.keys(shells).join(', ')}`)
      printLine(shell(commands()))
      return 0
    },
  }
}

const optionsOf = ({ usage }: Command) => [
  ...new Set(['--help', ...[...usage.matchAll(/--[a-z][a-z-]*/g)].map(([option]) => option)]),
]
const namesOf = (commands: Commands) => [...Object.keys(commands), 'help']

/** One `case` per command, in the syntax common to bash and zsh: words first, then options. `$word` is the command's first argument. */
function cases(commands: Commands): string {
  const lines = Object.entries(commands).map(([name, command]) => {
    const choices = `choices='${(command.words ?? []).join(' ')}'`
    if (!command.optionsOfWords)
      return `      ${name}) ${choices} options='${optionsOf(command).join(' ')}' ;;`
    const ofWords = Object.entries(command.optionsOfWords).map(
      ([word, options]) => `${word}) options='${['--help', ...options].join(' ')}' ;;`,
    )
    return `      ${name}) ${choices} options='--help'
        case "$word" in ${ofWords.join(' ')} esac ;;`
  })
  return [...lines, `      help) choices='${Object.keys(commands).join(' ')}' ;;`].join('\n')
}

/** https://www.gnu.org/software/bash/manual/html_node/Programmable-Completion.html */
function bash(commands: Commands): string {
  return `_walhook() {
  local current="\${COMP_WORDS[COMP_CWORD]}" word="\${COMP_WORDS[2]}" choices='' options='' all
  if ((COMP_CWORD == 1)); then
    all='${namesOf(commands).join(' ')} --help --version'
  else
    case "\${COMP_WORDS[1]}" in
${cases(commands)}
    esac
    all="$options"
    ((COMP_CWORD == 2)) && all="$choices $options"
  fi
  COMPREPLY=($(compgen -W "$all" -- "$current"))
}
complete -o default -F _walhook walhook`
}

/** https://zsh.sourceforge.io/Doc/Release/Completion-System.html */
function zsh(commands: Commands): string {
  return `#compdef walhook
_walhook() {
  local command="\${words[2]}" word="\${words[3]}" choices='' options=''
  if ((CURRENT == 2)); then
    compadd -- ${namesOf(commands).join(' ')} --help --version
  else
    case "$command" in
${cases(commands)}
    esac
    ((CURRENT == 3)) && [[ -n "$choices" ]] && compadd -- \${=choices}
    [[ -n "$options" ]] && compadd -- \${=options}
    _files
  fi
}
compdef _walhook walhook`
}

/** That both were given, in fish. */
const afterWords = (...words: readonly string[]) =>
  words.map(word => `__fish_seen_subcommand_from ${word}`).join('; and ')

/** https://fishshell.com/docs/current/completions.html */
function fish(commands: Commands): string {
  const lines = Object.entries(commands).flatMap(([name, command]) => {
    const seen = `-n '__fish_seen_subcommand_from ${name}'`
    const words = command.words ?? []
    return [
      ...(words.length > 0
        ? [
            `complete -c walhook ${seen} -n 'not __fish_seen_subcommand_from ${words.join(' ')}' -f -a '${words.join(' ')}'`,
          ]
        : []),
      ...(command.optionsOfWords
        ? Object.entries(command.optionsOfWords).flatMap(([word, options]) =>
            ['--help', ...options].map(
              option => `complete -c walhook -n '${afterWords(name, word)}' -l ${option.slice(2)}`,
            ),
          )
        : optionsOf(command).map(option => `complete -c walhook ${seen} -l ${option.slice(2)}`)),
    ]
  })
  const first = `complete -c walhook -n __fish_use_subcommand`
  return [
    `${first} -f -a '${namesOf(commands).join(' ')}'`,
    `${first} -l help`,
    `${first} -l version`,
    `complete -c walhook -n '__fish_seen_subcommand_from help' -f -a '${Object.keys(commands).join(' ')}'`,
    ...lines,
  ].join('\n')
}
