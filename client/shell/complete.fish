# Completion for fish: put it, as PROGRAM.fish, into ~/.config/fish/completions.
function __PROGRAM_choices
    set -l token (commandline -ct)
    set -l words (commandline -opc)[2..] "$token"
    for choice in (PROGRAM __complete -- $words 2>/dev/null)
        if test "$choice" = :files
            set -l flag (string match -r -- '^--[^=]*=' $token)
            for path in (__fish_complete_path (string replace -- "$flag" '' "$token"))
                echo "$flag$path"
            end
        else
            echo $choice
        end
    end
end
complete -c PROGRAM -f -a '(__PROGRAM_choices)'
