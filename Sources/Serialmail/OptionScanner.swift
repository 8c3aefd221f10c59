/// Single-letter options as getopt has them: `-RHl0 -t 5 --`.
struct OptionScanner {
    struct Option: Hashable {
        let letter: Character
        /// Empty unless the option takes one.
        let value: String
    }

    let options: [Option]
    /// What follows the options.
    let rest: [String]

    /// Nil on an option that is not known, or lacks its value.
    ///
    /// - Parameter known: the letters, each with a colon behind it if it takes a value.
    init?(_ arguments: [String], _ known: String) {
        let letters = Array(known)
        var options: [Option] = []
        var rest = arguments[...]
        while let word = rest.first, word.hasPrefix("-"), word != "-" {
            rest = rest.dropFirst()
            if word == "--" { break }
            var flags = word.dropFirst()
            while let letter = flags.popFirst() {
                guard letter != ":", let index = letters.firstIndex(of: letter) else { return nil }
                guard index + 1 < letters.count, letters[index + 1] == ":" else {
                    options.append(Option(letter: letter, value: ""))
                    continue
                }
                if flags.isEmpty {
                    guard let value = rest.popFirst() else { return nil }
                    options.append(Option(letter: letter, value: value))
                } else {
                    options.append(Option(letter: letter, value: String(flags)))
                    flags = ""
                }
            }
        }
        self.options = options
        self.rest = Array(rest)
    }

    /// Whether the first letter was given after the second, or without it.
    func isOn(_ letter: Character, off: Character? = nil, default isOnByDefault: Bool = false) -> Bool {
        options.last { $0.letter == letter || $0.letter == off }.map { $0.letter == letter } ?? isOnByDefault
    }

    func value(_ letter: Character) -> String? { options.last { $0.letter == letter }?.value }
}
