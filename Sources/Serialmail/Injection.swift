import Glibc
import Maildirs

/// Where a message goes that a program has to pass on.
enum InjectionTarget: Hashable, Sendable {
    /// A program like sendmail: `-f SENDER -- RECIPIENT...`, the message on its descriptor 0; 0 says that it is queued.
    case program(String)
    /// A Maildir: one file for each recipient, with the lines that maildirserial reads.
    case maildir(String, prefix: String)

    /// The Maildir if there is one, otherwise the program that SERIALMAIL_INJECT names, otherwise sendmail.
    init(_ context: ProgramContext, maildir: String?, prefix: String = "") {
        if let maildir, !maildir.isEmpty {
            self = .maildir(context.resolved(maildir), prefix: prefix)
        } else if let program = context.environment["SERIALMAIL_INJECT"], !program.isEmpty {
            self = .program(program)
        } else {
            self = .program(Self.sendmail(context.environment))
        }
    }

    private static func sendmail(_ environment: [String: String]) -> String {
        let folders = (environment["PATH"] ?? "").split(separator: ":") + ["/usr/sbin", "/usr/lib"]
        return folders.map { "\($0)/sendmail" }.first { access($0, X_OK) == 0 } ?? "/usr/sbin/sendmail"
    }
}

/// Why a message could not be passed on.
struct InjectionFailure: Error, Hashable {
    let text: String
    /// Whether it may go another time.
    var isTemporary = true
}

/// A message being passed on. What is let go without `commit` is not sent.
final class Injection {
    private enum Way {
        case program(ChildProcess, input: Int32, name: String)
        case maildir([MaildirDelivery])
    }

    private let way: Way
    private var isOver = false

    /// - Parameters:
    ///   - sender: empty for the null sender.
    ///   - recipients: at least one.
    init(
        _ target: InjectionTarget, sender: [UInt8], recipients: [[UInt8]], _ context: ProgramContext
    ) throws(InjectionFailure) {
        switch target {
        case .program(let name):
            way = try Self.start(name, sender: sender, recipients: recipients, context)
        case .maildir(let path, let prefix):
            way = .maildir(try Self.open(path, prefix: Array(prefix.utf8), sender: sender, recipients: recipients))
        }
    }

    deinit {
        guard !isOver, case .program(let child, let input, _) = way else { return }
        // Before the end of its input, which it would take for the end of the message.
        child.kill()
        close(input)
        _ = child.wait()
    }

    private static func start(
        _ name: String, sender: [UInt8], recipients: [[UInt8]], _ context: ProgramContext
    ) throws(InjectionFailure) -> Way {
        let words = ([sender] + recipients).map { String(decoding: $0, as: UTF8.self) }
        let command = [name, "-f", words[0], "--"] + words.dropFirst()
        do throws(DescriptorFailure) {
            let pipe = try Pipe()
            defer { close(pipe.output) }
            do throws(DescriptorFailure) {
                let child = try ChildProcess.start(
                    command, environment: context.environment,
                    descriptors: [0: pipe.output, 1: context.diagnostics, 2: context.diagnostics])
                return .program(child, input: pipe.input, name: name)
            } catch {
                close(pipe.input)
                throw error
            }
        } catch {
            throw InjectionFailure(text: "unable to run \(name): \(error.text)")
        }
    }

    private static func open(
        _ path: String, prefix: [UInt8], sender: [UInt8], recipients: [[UInt8]]
    ) throws(InjectionFailure) -> [MaildirDelivery] {
        do throws(MaildirError) {
            let maildir = try Maildir(path)
            var deliveries: [MaildirDelivery] = []
            for recipient in recipients {
                let delivery = try maildir.deliver()
                try delivery.append(SpoolEnvelope.lines(sender: sender, deliveredTo: prefix + recipient))
                deliveries.append(delivery)
            }
            return deliveries
        } catch {
            throw InjectionFailure(text: "\(error)")
        }
    }

    /// The next bytes of the message, with LF line ends.
    func append(_ bytes: [UInt8]) throws(InjectionFailure) {
        switch way {
        case .program(_, let input, let name):
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { write(input, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw InjectionFailure(text: "\(name) does not read the message") }
                rest = rest.dropFirst(count)
            }
        case .maildir(let deliveries):
            do throws(MaildirError) {
                for delivery in deliveries { try delivery.append(bytes) }
            } catch {
                throw InjectionFailure(text: "\(error)")
            }
        }
    }

    /// The message is whole: passes it on.
    ///
    /// - Returns: the number of the process that has taken it.
    func commit() throws(InjectionFailure) -> Int32 {
        isOver = true
        switch way {
        case .program(let child, let input, let name):
            close(input)
            let ending = child.wait()
            if ending == .exited(0) { return child.id }
            throw Self.failure(ending, name)
        case .maildir(let deliveries):
            do throws(MaildirError) {
                for delivery in deliveries { _ = try delivery.commit() }
            } catch {
                throw InjectionFailure(text: "\(error)")
            }
            return getpid()
        }
    }

    /// What sysexits.h calls so: a usage or data error, no such user or host, a protocol error, no permission.
    private static let permanentCodes: Set<Int32> = [64, 65, 66, 67, 68, 76, 77, 100]

    private static func failure(_ ending: ChildProcess.Ending, _ name: String) -> InjectionFailure {
        switch ending {
        case .exited(let code):
            InjectionFailure(text: "\(name) ended with \(code)", isTemporary: !permanentCodes.contains(code))
        case .killed(let signal):
            InjectionFailure(text: "\(name) was ended by signal \(signal)")
        }
    }
}
