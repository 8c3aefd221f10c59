import ArgumentParser
import Serialmail

/// The programs of serialmail's family, which are found by the names that they are called by too.
struct SerialmailCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serialmail",
        abstract: "Move mail between any Maildir and SMTP, QMTP, POP3 or UUCP.",
        discussion: """
            A link to hauberk with a program's name is that program.

            \(SerialmailPrograms.overview)
              hauberk serialmail maildirsmtp ~/Maildir bob- mx.example.net bob.example
            """)

    @Argument(parsing: .captureForPassthrough, help: "The program and its arguments.")
    var arguments: [String] = []

    func run() throws {
        let called = ["hauberk", "serialmail"] + arguments
        throw ExitCode(SerialmailPrograms.runIfCalled(called, environment: ProcessEnvironment.variables()) ?? 100)
    }
}
