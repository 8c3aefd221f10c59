/// `maildirsmtp`: sends a Maildir to a host by SMTP, and bounces what that refuses or what is two weeks old.
struct MaildirSMTP: Program {
    static let name = "maildirsmtp"
    static let abstract = "Sends the messages of a Maildir to a host by SMTP."
    static let usage = "dir prefix host helohost"

    let context: ProgramContext

    init(_ context: ProgramContext) { self.context = context }

    func run() throws(ProgramExit) -> Int32 {
        guard context.arguments.count == 4 else { throw Self.usageExit }
        let (dir, prefix, host) = (context.arguments[0], context.arguments[1], context.arguments[2])
        return try MaildirShortcut(context: context, dir: dir, prefix: prefix, host: host)
            .run(port: 25, client: ["serialsmtp", prefix, context.arguments[3]])
    }
}

/// `maildirqmtp`: the same by QMTP.
struct MaildirQMTP: Program {
    static let name = "maildirqmtp"
    static let abstract = "Sends the messages of a Maildir to a host by QMTP."
    static let usage = "dir prefix host"

    let context: ProgramContext

    init(_ context: ProgramContext) { self.context = context }

    func run() throws(ProgramExit) -> Int32 {
        guard context.arguments.count == 3 else { throw Self.usageExit }
        let (dir, prefix, host) = (context.arguments[0], context.arguments[1], context.arguments[2])
        return try MaildirShortcut(context: context, dir: dir, prefix: prefix, host: host)
            .run(port: 209, client: ["serialqmtp", prefix])
    }
}

/// maildirserial with tcpclient and a client, all of them this program's own.
private struct MaildirShortcut {
    let context: ProgramContext
    let dir: String
    let prefix: String
    let host: String

    func run(port: Int, client: [String]) throws(ProgramExit) -> Int32 {
        let connect = context.ownCommand + ["tcpclient", "-RHl0", "--", host, String(port)]
        let arguments = ["-b", "-t", "1209600", "--", dir, prefix] + connect + context.ownCommand + client
        return try MaildirSerial(context.with(arguments: arguments)).run()
    }
}
