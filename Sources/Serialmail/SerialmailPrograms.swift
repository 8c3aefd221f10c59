import Glibc

/// All programs by their names, and how one is run.
package enum SerialmailPrograms {
    static let all: [any Program.Type] = [
        MaildirSMTP.self, MaildirQMTP.self, MaildirSerial.self, SerialSMTP.self, SerialQMTP.self, SetLock.self,
        TCPClient.self, MaildirMake.self, MaildirPop.self, MaildirBSMTP.self, ReadBSMTP.self, ReceiveMail.self,
    ]

    /// The program that is called so: by the last component of the path by which it was started.
    package static func named(_ path: String) -> String? {
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        return all.contains { $0.name == name } ? name : nil
    }

    /// One line per program.
    package static var overview: String {
        var width = 0
        for program in all { width = max(width, program.name.count) }
        var lines = ""
        for program in all {
            lines += "  \(program.name)\(String(repeating: " ", count: width - program.name.count))"
            lines += "  \(program.abstract)\n"
        }
        return lines
    }

    /// Runs a program to its end, and says why it ended if it did before its work was done.
    ///
    /// - Returns: its exit code.
    package static func run(_ name: String, _ context: ProgramContext) -> Int32 {
        guard let program = all.first(where: { $0.name == name }) else { return 100 }
        // A peer that goes away is an error of the write.
        signal(SIGPIPE, SIG_IGN)
        // Whoever ignores the ends of children hears nothing of them.
        signal(SIGCHLD, SIG_DFL)
        let diagnostics = Diagnostics(context.diagnostics)
        if context.arguments.first == "--help" {
            Diagnostics(context.output).say("usage: \(name) \(program.usage)\n\n\(program.abstract)")
            return 0
        }
        do throws(ProgramExit) {
            return try program.init(context).run()
        } catch {
            if let message = error.message { diagnostics.say(message) }
            return error.code
        }
    }

    /// As the operating system starts one: by the name that it is called by, or as `hauberk serialmail NAME`.
    ///
    /// - Returns: the exit code; nil if none of the programs was meant.
    package static func runIfCalled(_ commandLine: [String], environment: [String: String]) -> Int32? {
        if let name = commandLine.first.flatMap(named) {
            return run(name, ProgramContext(arguments: Array(commandLine.dropFirst()), environment: environment))
        }
        guard commandLine.count > 1, commandLine[1] == "serialmail" else { return nil }
        guard commandLine.count > 2, let name = named(commandLine[2]), name == commandLine[2] else {
            let isAsked = commandLine.count > 2 && ["--help", "-h", "help"].contains(commandLine[2])
            Diagnostics(isAsked ? 1 : 2).say("usage: hauberk serialmail PROGRAM ARGUMENT...\n\n\(overview)")
            return isAsked ? 0 : 100
        }
        return run(name, ProgramContext(arguments: Array(commandLine.dropFirst(3)), environment: environment))
    }
}

/// The environment of this process.
package enum ProcessEnvironment {
    package static func variables() -> [String: String] {
        var found: [String: String] = [:]
        var next = environ
        while let entry = next.pointee {
            let text = String(cString: entry)
            if let mark = text.firstIndex(of: "=") {
                found[String(text[..<mark])] = String(text[text.index(after: mark)...])
            }
            next += 1
        }
        return found
    }
}

/// Lines for people, each written at once.
struct Diagnostics: Sendable {
    let descriptor: Int32

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    func say(_ line: String) {
        var text = Array((line.hasSuffix("\n") ? line : line + "\n").utf8)[...]
        while !text.isEmpty {
            let count = text.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            text = text.dropFirst(count)
        }
    }
}
