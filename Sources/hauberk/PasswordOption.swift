import ArgumentParser
import Directory
import Glibc

/// Where a new password, or its hash, comes from: never from the command line itself, which other users of the machine can see.
struct PasswordOption: ParsableArguments {
    @Flag(name: .customLong("password-stdin"), help: "Read the password from the first line of standard input.")
    var isFromInput = false

    @Flag(name: .customLong("generate"), help: "Make a random password and print it.")
    var isGenerated = false

    @Flag(
        name: .customLong("hash-stdin"),
        help: ArgumentHelp(
            "Read a crypt(3) hash, as another server keeps it, from the first line of standard input.",
            discussion: """
                Without the password itself there is no SCRAM, APOP or CRAM-MD5 until the account gets a new one.
                """))
    var isHash = false

    static let hashLacksPassword = ValidationError("APOP and CRAM-MD5 need the password itself, not its hash.")

    /// What is known of a password.
    enum Secret {
        case password(String)
        case hash(ForeignHash)
    }

    func validate() throws {
        if [isFromInput, isGenerated, isHash].count(where: { $0 }) > 1 {
            throw ValidationError("--password-stdin, --hash-stdin and --generate exclude each other.")
        }
    }

    /// The password, or its hash; without an option it is asked for on the terminal.
    func secret() throws -> Secret {
        guard isHash else { return .password(try password()) }
        guard let hash = ForeignHash(try Self.firstLine(of: "hash")) else {
            throw CommandFailure(
                "this is no whole hash that libcrypt can verify: one looks like $2y$10$… or {SHA512-CRYPT}$6$…")
        }
        return .hash(hash)
    }

    private func password() throws -> String {
        if isGenerated { return Self.random() }
        if isFromInput { return try Self.firstLine(of: "password") }
        guard isatty(STDIN_FILENO) == 1 else {
            throw CommandFailure(
                "there is no terminal to ask for a password on: give --password-stdin or --generate")
        }
        let password = try HiddenInput.line(prompt: "Password: ")
        guard try HiddenInput.line(prompt: "Again: ") == password else {
            throw CommandFailure("the two passwords differ, nothing was changed: try again")
        }
        return password
    }

    private static func firstLine(of thing: String) throws -> String {
        guard let line = readLine(), !line.isEmpty else {
            throw CommandFailure("standard input has no \(thing): its first line must be one")
        }
        return line
    }

    /// 20 characters, 115 bits, none of which is easily taken for another.
    private static func random() -> String {
        let alphabet = Array("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789")
        var generator = SystemRandomNumberGenerator()
        return String((0..<20).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] })
    }
}

/// Lines that are typed without being shown.
private enum HiddenInput {
    private static let interrupt: UInt8 = 3

    static func line(prompt: String) throws -> String {
        var settings = termios()
        guard tcgetattr(STDIN_FILENO, &settings) == 0 else {
            throw CommandFailure("the terminal does not answer: \(String(cString: strerror(errno)))")
        }
        let before = settings
        // Ctrl-C comes as a character that ends the line, so that it cannot leave a terminal without echo behind.
        settings.c_lflag &= ~tcflag_t(ECHO | ISIG)
        withUnsafeMutableBytes(of: &settings.c_cc) { $0[Int(VEOL)] = interrupt }
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
        defer {
            var settings = before
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
            note("")
        }
        note(prompt, terminator: "")
        return try readLine()
    }

    /// Not by the C library, which would wait for a newline behind a Ctrl-C.
    private static func readLine() throws -> String {
        var bytes: [UInt8] = []
        while bytes.last != UInt8(ascii: "\n") {
            var buffer = [UInt8](repeating: 0, count: 1024)
            let count = read(STDIN_FILENO, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw CommandFailure("no password was typed") }
            if buffer[..<count].contains(interrupt) { throw ExitCode(128 + SIGINT) }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes.dropLast(), as: UTF8.self)
    }
}
