#compdef PROGRAM
# Completion for zsh: put it, as _PROGRAM, into a directory of $fpath.
local choice word files=0
local -a choices words_and_help
choices=("${(@f)$(PROGRAM __complete -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
for choice in $choices; do
    if [[ $choice == :files ]]; then
        files=1
        continue
    fi
    word=${choice%%$'\t'*}
    if [[ $choice == *$'\t'* ]]; then
        words_and_help+=("${word//:/\\:}:${choice#*$'\t'}")
    else
        words_and_help+=("${word//:/\\:}")
    fi
done
[[ $PREFIX == --*=* ]] && words_and_help=(${words_and_help#*=}) && compset -P '*='
(( $#words_and_help )) && _describe PROGRAM words_and_help
(( files )) && _files
