import Glibc
import Maildirs

// A message's file is removed only after its client has said K for it, or after its bounce is queued:
//
// | done                        | on disk after a crash | why that is safe                                    |
// |-----------------------------|-----------------------|-----------------------------------------------------|
// | named to the client         | in the Maildir        | sent again                                          |
// | K read, or the bounce queued | in the Maildir        | sent or bounced again, once                         |
// | unlinked                    | gone                  | another has it, or its sender was told               |

/// `maildirserial`: feeds a Maildir's messages to a client, oldest first, and removes what the client has delivered.
struct MaildirSerial: Program {
    static let name = "maildirserial"
    static let abstract = "Feeds a Maildir's file names to a client and removes or bounces what it reports."
    static let usage = "[ -b ] [ -t lifetime ] dir prefix client [ arg ... ]"

    /// Rounds in which no client told any result, before it gives up.
    private static let fruitlessRoundsMax = 3

    let context: ProgramContext

    init(_ context: ProgramContext) { self.context = context }

    func run() throws(ProgramExit) -> Int32 {
        guard let options = OptionScanner(context.arguments, "bt:"), options.rest.count >= 3 else {
            throw Self.usageExit
        }
        let directory = context.resolved(options.rest[0])
        let maildir: Maildir
        do throws(MaildirError) {
            maildir = try Maildir(directory)
        } catch {
            throw Self.fatal("unable to chdir to \(options.rest[0]): \(error)")
        }
        let prefix = Array(options.rest[1].utf8)
        let outcomes = SerialOutcomes(
            maildir: maildir, log: Diagnostics(context.diagnostics),
            bouncer: options.isOn("b") ? Bouncer(context, prefix: prefix) : nil,
            lifetime: options.value("t").map { Int64($0.prefix { $0.isASCII && $0.isNumber }) ?? 0 })
        return try run(maildir, outcomes, prefix: prefix, client: Array(options.rest[2...]))
    }

    private func run(
        _ maildir: Maildir, _ outcomes: SerialOutcomes, prefix: [UInt8], client: [String]
    ) throws(ProgramExit) -> Int32 {
        var fruitless = 0
        while true {
            let names = try usable(maildir, outcomes, prefix: prefix)
            if names.isEmpty { return outcomes.left.isEmpty ? 0 : 111 }
            let before = outcomes.count
            var round = try SerialRound(client, names: names, in: maildir.path, context)
            try round.run(outcomes)
            switch round.end() {
            case .killed: throw Self.fatal("client crashed")
            // The client has said why.
            case .exited(100): return 100
            case .exited: break
            }
            fruitless = outcomes.count > before ? 0 : fruitless + 1
            if fruitless >= Self.fruitlessRoundsMax { throw Self.fatal("making no progress, giving up") }
        }
    }

    /// The messages for this prefix whose fate is open.
    private func usable(
        _ maildir: Maildir, _ outcomes: SerialOutcomes, prefix: [UInt8]
    ) throws(ProgramExit) -> [[UInt8]] {
        do throws(MaildirError) {
            // What a crash left is no reason to leave the mail.
            try? maildir.removeStaleTmp()
            return try maildir.scan().map(\.name).filter { name in
                !outcomes.left.contains(name) && (prefix.isEmpty || outcomes.hasPrefix(name, prefix))
            }
        } catch {
            throw Self.fatal("unable to scan \(maildir.path): \(error)")
        }
    }
}

/// What became of the messages so far.
final class SerialOutcomes {
    private let maildir: Maildir
    private let log: Diagnostics
    private let bouncer: Bouncer?
    /// Seconds after which a temporary failure is taken for good.
    private let lifetime: Int64?
    /// Those that stay in the Maildir, and are not tried again in this run.
    private(set) var left: Set<[UInt8]> = []
    /// Results so far.
    private(set) var count = 0

    init(maildir: Maildir, log: Diagnostics, bouncer: Bouncer?, lifetime: Int64?) {
        self.maildir = maildir
        self.log = log
        self.bouncer = bouncer
        self.lifetime = lifetime
    }

    func hasPrefix(_ name: [UInt8], _ prefix: [UInt8]) -> Bool {
        do throws(MaildirError) {
            return try maildir.open(name).envelope?.recipient(without: prefix) != nil
        } catch {
            warn("unable to open \(Printable.text(name)): \(error)")
            return false
        }
    }

    /// Acts on what the client has said of a message: K, Z or D, and a text.
    func take(_ name: [UInt8], _ letter: UInt8, _ text: [UInt8]) {
        count += 1
        let (shown, said) = (Printable.text(name), Printable.text(text))
        if letter == UInt8(ascii: "K") {
            inform("\(shown) succeeded: \(said)")
            remove(name, orWarn: "message will be delivered twice!")
            return
        }
        let isRefused = letter == UInt8(ascii: "D")
        let isTooOld = !isRefused && isTooOld(name, shown)
        guard isRefused || isTooOld else {
            inform("\(shown) failed temporarily: \(said)")
            left.insert(name)
            return
        }
        guard let bouncer else {
            inform("\(shown) failed: \(said)")
            left.insert(name)
            return
        }
        inform("\(shown) bounced: \(said)")
        bounce(name, shown, Bouncer.Cause(text: text, isTooOld: isTooOld), bouncer)
    }

    /// The client has named something that it was not asked for.
    func ignore(_ name: [UInt8]) { warn("client reports \(Printable.text(name.prefix(200))), which was not its task") }

    private func isTooOld(_ name: [UInt8], _ shown: String) -> Bool {
        guard let lifetime else { return false }
        do throws(MaildirError) {
            let (end, overflow) = try maildir.modified(name).addingReportingOverflow(lifetime)
            return !overflow && Int64(time(nil)) > end
        } catch {
            warn("assuming message is still alive; unable to stat \(shown): \(error)")
            return false
        }
    }

    private func bounce(_ name: [UInt8], _ shown: String, _ cause: Bouncer.Cause, _ bouncer: Bouncer) {
        let message: SpoolMessage
        do throws(MaildirError) {
            message = try maildir.open(name)
        } catch {
            warn("unable to read \(shown): \(error)")
            left.insert(name)
            return
        }
        switch bouncer.bounce(message, cause) {
        case .returned(let queued): inform("returned \(shown): qp \(queued)")
        case .discarded: inform("discarding \(shown): triple bounce")
        case .failed(let why):
            warn("unable to bounce \(shown): \(why)")
            left.insert(name)
            return
        }
        remove(name, orWarn: "message has been bounced but not removed!")
    }

    private func remove(_ name: [UInt8], orWarn warning: String) {
        do throws(MaildirError) {
            try maildir.remove(name)
        } catch {
            warn("\(warning) unable to unlink \(Printable.text(name)): \(error)")
            left.insert(name)
        }
    }

    private func inform(_ text: String) { log.say("maildirserial: info: \(text)") }

    private func warn(_ text: String) { log.say("maildirserial: warning: \(text)") }
}
