# Sets takes to how the value of the option $2 of the command $1 (or of any) is completed.
__pingpong_find()
{
    local jobs names others rest

    takes=
    while IFS='|' read -r jobs names others rest; do
        if [[ " $names $others " == *" $2 "* && (-z $1 || " $jobs " == *" $1 "*) ]]; then
            takes=$rest
            return
        fi
    done <<<"$__pingpong_options"
}

# Sets awaiting to the option in word $1 whose value is the next word, which is $2.
__pingpong_read_option()
{
    local at takes

    if [[ $1 == --* ]]; then
        __pingpong_find '' "$1"
        [[ -z $takes || ($takes == \?* && $2 != =*) ]] || awaiting=$1
        return
    fi
    for ((at = 1; at < ${#1}; at++)); do
        __pingpong_find '' "-${1:at:1}"
        if [[ -n $takes ]]; then
            [[ $takes == \?* ]] || ((at + 1 < ${#1})) || awaiting=-${1:at:1}
            return
        fi
    done
}

# Goes through the words before the cursor. Readline makes words of their own of = and :, so that
# what follows these is the rest of a word.
__pingpong_read_words()
{
    local at word

    for ((at = 1; at < COMP_CWORD; at++)); do
        word=${COMP_WORDS[at]}
        if [[ $word =~ ^[=:]+$ ]]; then
            ((++at < COMP_CWORD)) && awaiting=
        elif [[ -n $awaiting ]]; then
            awaiting=
        elif [[ $word == -* ]]; then
            __pingpong_read_option "$word" "${COMP_WORDS[at + 1]}"
        elif [[ -n $command ]]; then
            ((++more))
        elif [[ " $__pingpong_commands " == *" $word "* ]]; then
            command=$word
        else
            command=client more=1
        fi
    done
}

__pingpong_offer()
{
    mapfile -t COMPREPLY < <(compgen "$@" -- "$cur")
}

__pingpong_offer_value()
{
    case ${1#\?} in
        'words '*) __pingpong_offer -W "${1#*words }" ;;
        address) __pingpong_offer -A hostname ;;
        file)
            compopt -o filenames 2>/dev/null
            __pingpong_offer -f
            ;;
    esac
}

# The names of the command's options; where none of them fits, their other names.
__pingpong_offer_options()
{
    local jobs names others rest all_names='' all_others=''

    while IFS='|' read -r jobs names others rest; do
        [[ -z $command || " $jobs " == *" $command "* ]] || continue
        [[ " $all_names " == *" $names "* ]] || all_names+=" $names"
        all_others+=" $others"
    done <<<"$__pingpong_options"
    __pingpong_offer -W "$all_names"
    ((${#COMPREPLY[@]})) || __pingpong_offer -W "$all_others"
}

__pingpong_offer_word()
{
    if [[ -z $command ]]; then
        __pingpong_offer -W "$__pingpong_commands"
        [[ -z $cur || ${#COMPREPLY[@]} -gt 0 ]] || __pingpong_offer -A hostname
    elif ((more)); then
        return
    elif [[ " $__pingpong_asking " == *" $command "* ]]; then
        __pingpong_offer -W "$__pingpong_commands"
    elif [[ " $__pingpong_addressed " == *" $command "* ]]; then
        __pingpong_offer -A hostname
    fi
}

_pingpong()
{
    local cur=${COMP_WORDS[COMP_CWORD]} left=${COMP_WORDS[COMP_CWORD - 1]}
    local command='' awaiting='' takes more=0

    COMPREPLY=()
    __pingpong_read_words
    if [[ $cur == : || $left == : ]]; then
        [[ $cur == : ]] && cur= || left=${COMP_WORDS[COMP_CWORD - 2]}
        [[ $left == unix || $left == file ]] && __pingpong_offer_value file
        return
    fi
    [[ $cur == = ]] && cur=
    if [[ -n $awaiting ]]; then
        __pingpong_find "$command" "$awaiting"
        __pingpong_offer_value "$takes"
    elif [[ $cur == -* ]]; then
        __pingpong_offer_options
    else
        __pingpong_offer_word
    fi
}

complete -F _pingpong pingpong
