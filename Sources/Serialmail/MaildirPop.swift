import Digests
import Glibc
import Mail
import Maildirs
import POP3
import SASL

// | done                         | here and there after a broken connection | why that is safe                        |
// |------------------------------|------------------------------------------|-----------------------------------------|
// | message read                 | there                                    | read again                              |
// | durable in the Maildir       | here and there                           | read again, and recognised by its name  |
// | DELE accepted                | here and there: only QUIT deletes        | the same                                |
// | QUIT accepted                | here                                     |                                         |

/// `maildirpop`: fetches a mailbox by POP3 over descriptors 6 and 7, and leaves nothing of it there.
struct MaildirPop: Program {
    static let name = "maildirpop"
    static let abstract = """
        Fetches a POP3 mailbox over descriptors 6 and 7 into a Maildir, durably, and deletes it there.
        """
    static let usage = """
        [ -p ] [ -k ] [ -s server ] dir [ user ]

        The user is the argument, or SERIALMAIL_USER. The password is SERIALMAIL_PASSWORD, or the first line of
        descriptor 3. APOP is used where the server offers it; -p says USER and PASS all the same. -k keeps the messages
        on the server. -s names the server, for the names of files; otherwise TCPREMOTEHOST or TCPREMOTEIP does.

          tcpclient -H pop.example.net 110 maildirpop Maildir alice 3< password
        """

    let context: ProgramContext

    init(_ context: ProgramContext) { self.context = context }

    func run() throws(ProgramExit) -> Int32 {
        guard let options = OptionScanner(context.arguments, "pks:"), (1...2).contains(options.rest.count),
            let user = options.rest.count == 2 ? options.rest[1] : context.environment["SERIALMAIL_USER"]
        else { throw Self.usageExit }
        let login = POPLogin(user: user, password: try password(), mayUseAPOP: !options.isOn("p"))
        guard login.isSayable else { throw Self.fatal("user or password cannot be said in POP3") }
        let server =
            options.value("s") ?? context.environment["TCPREMOTEHOST"] ?? context.environment["TCPREMOTEIP"] ?? ""
        let maildir: Maildir
        let known: Set<String>
        do throws(MaildirError) {
            maildir = try Maildir(context.resolved(options.rest[0]))
            known = try maildir.fileNames()
        } catch {
            throw Self.fatal("\(error)")
        }
        let fetch = POPFetch(
            dialogue: POPDialogue(context), maildir: maildir, known: known, names: POPNames(server: server, user: user),
            keeps: options.isOn("k"), log: Diagnostics(context.diagnostics))
        try fetch.run(login)
        return 0
    }

    private func password() throws(ProgramExit) -> String {
        if let password = context.environment["SERIALMAIL_PASSWORD"] { return password }
        let input = TimedReader(context.secretInput, timeout: nil)
        var line = (try? input.take(upTo: UInt8(ascii: "\n"), bytesMax: 4096)) ?? input.unread
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        guard !line.isEmpty else { throw Self.fatal("no password in SERIALMAIL_PASSWORD or on descriptor 3") }
        return String(decoding: line, as: UTF8.self)
    }
}

/// Who logs in, and how.
struct POPLogin {
    let user: String
    let password: String
    let mayUseAPOP: Bool

    var isSayable: Bool { !(user + password).utf8.contains { $0 < 0x20 || $0 == 0x7F } }

    /// The commands, each of which has to be accepted.
    ///
    /// - Parameter timestamp: that of the greeting, if the server offers APOP (RFC 1939 §7).
    func commands(timestamp: String?) -> [POP3ClientCommand] {
        if mayUseAPOP, let timestamp, let digest = APOP.digest(challenge: timestamp, secret: password) {
            return [.apop(user: user, digest: Hex.encode(digest))]
        }
        return [.user(user), .pass(password)]
    }
}

/// What fetched messages are called: the same message has the same name whenever it is fetched.
struct POPNames {
    let server: String
    let user: String

    /// - Parameter uniqueID: empty if the message has none.
    func name(of uniqueID: [UInt8]) -> MessageIdentity? {
        guard !uniqueID.isEmpty else { return nil }
        let hash = SHA256.hash(Array("\(server)\0\(user)\0".utf8) + uniqueID)
        return MessageIdentity("pop.\(Hex.encode(hash.prefix(24)))")
    }
}
