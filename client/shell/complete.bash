# shellcheck shell=bash
# Completion for bash: source it, or put it, as PROGRAM, where bash-completion looks.
_PROGRAM() {
    local word words=()
    # bash splits --flag=value into three words.
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
        [[ $word == "=" ]] || words+=("$word")
    done
    [[ ${COMP_WORDS[COMP_CWORD]} == "=" ]] && words+=("")
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        if [[ $word == :files ]]; then
            compopt -o default # readline's own, where no word fits
        else
            COMPREPLY+=("$word")
        fi
    done < <(PROGRAM __complete -- "${words[@]}" 2>/dev/null)
}
complete -F _PROGRAM PROGRAM
