_pingpong_addresses()
{
    if compset -P 'unix:'; then
        _files
    else
        _hosts
    fi
}

_pingpong_words()
{
    _alternative 'commands:command:_pingpong_commands' 'addresses:address:_pingpong_addresses'
}

_pingpong()
{
    local command='' word=''
    local -a specs
    integer at

    for ((at = 2; at < CURRENT; at++)); do
        if ((${_pingpong_valued[(Ie)$words[at]]})); then
            ((at++))
        elif [[ $words[at] != -* ]]; then
            word=$words[at]
            break
        fi
    done
    if [[ -n $word ]]; then
        command=client
        ((${_pingpong_command_names[(Ie)$word]})) && command=$word
    fi
    _pingpong_options "$command"
    if [[ -z $command ]]; then
        specs+=('1: :_pingpong_words')
    else
        specs+=('1: : ')
        if ((${_pingpong_asking[(Ie)$word]})); then
            specs+=('2:command:_pingpong_commands')
        elif ((${_pingpong_addressed[(Ie)$word]})); then
            specs+=('2:address:_pingpong_addresses')
        fi
    fi
    _arguments -s -S : $specs
}

_pingpong "$@"
