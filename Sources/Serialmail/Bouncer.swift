import Bounces
import Digests
import Glibc
import Mail
import Maildirs

/// Tells the sender of a message that it could not be delivered; the postmaster if it has none, and nobody if that failed.
struct Bouncer {
    /// Why the message comes back.
    struct Cause {
        /// What the client said.
        let text: [UInt8]
        let isTooOld: Bool
    }

    enum Outcome {
        /// Queued, under this process number.
        case returned(Int32)
        case discarded
        case failed(String)
    }

    private let context: ProgramContext
    private let prefix: [UInt8]
    private let host: String

    init(_ context: ProgramContext, prefix: [UInt8]) {
        self.context = context
        self.prefix = prefix
        host = HostName.local
    }

    /// Octets of the message that are looked at for what goes back.
    private static let contentBytesMax = 256 << 10

    func bounce(_ message: SpoolMessage, _ cause: Cause) -> Outcome {
        guard let envelope = message.envelope else { return .failed("bad file format") }
        let postmaster = context.environment["SERIALMAIL_DOUBLEBOUNCE"].flatMap { EmailAddress($0) }
        let plan = BouncePlan(
            reportingHost: host, postmaster: postmaster ?? EmailAddress(local: "postmaster", domain: host))
        guard let content = content(message) else { return .failed("unable to read message") }
        let failed = FailedMessage(
            sender: envelope.sender.isEmpty ? .null : .address(address(envelope.sender)),
            recipients: [recipient(envelope, cause)], arrival: message.modified, content: content,
            isWhole: content.count == message.size - message.textStart)
        let messageID = "\(Hex.encode(SecureRandom.bytes(16)))@\(host)"
        switch plan.decide(failed, messageID: messageID, now: Int64(time(nil))) {
        case .nothing: return .discarded
        case .send(let bounce): return queue(bounce)
        }
    }

    private func queue(_ bounce: BounceMessage) -> Outcome {
        let target = InjectionTarget(context, maildir: context.environment["SERIALMAIL_BOUNCEDIR"])
        let sender: [UInt8]
        switch bounce.sender {
        case .null: sender = []
        case .address(let address): sender = Array("\(address.local)@\(address.domain)".utf8)
        }
        do throws(InjectionFailure) {
            let injection = try Injection(
                target, sender: sender, recipients: [Array(bounce.recipient.description.utf8)], context)
            try injection.append(FileText.withLineFeeds(bounce.bytes))
            return .returned(try injection.commit())
        } catch {
            return .failed("qq failed: \(error.text)")
        }
    }

    private func recipient(_ envelope: SpoolEnvelope, _ cause: Cause) -> FailedRecipient {
        let text = envelope.recipient(without: prefix) ?? envelope.deliveredTo
        let said = SaidText(Printable.text(cause.text))
        let reason = said.reason(isRefusal: !cause.isTooOld)
        return FailedRecipient(
            address: address(text), verdict: cause.isTooOld ? .deferred(reason) : .refused(reason),
            remoteHost: said.host)
    }

    /// As the file has it: an address without a domain is one of this host.
    private func address(_ bytes: [UInt8]) -> EmailAddress {
        let text = WireAddress.unquoted(bytes)
        let at = text.lastIndex(of: UInt8(ascii: "@")) ?? text.endIndex
        let domain = String(decoding: text[at...].dropFirst(), as: UTF8.self)
        return EmailAddress(
            local: String(decoding: text[..<at], as: UTF8.self), domain: domain.isEmpty ? host : domain)
    }

    private func content(_ message: SpoolMessage) -> [UInt8]? {
        var content: [UInt8] = []
        while content.count < Self.contentBytesMax {
            guard let piece = try? message.piece(at: message.textStart + content.count) else { return nil }
            if piece.isEmpty { break }
            content += piece
        }
        return content
    }
}

/// What a client has told of a peer: `ADDRESS said: 550 5.1.1 text`, or a text of its own.
struct SaidText: Hashable {
    let host: String?
    private let code: Int?
    private let status: String?
    private let text: String

    init(_ line: String) {
        let words = line.split(separator: " ", maxSplits: 2)
        let isSaid = words.count == 3 && words[1] == "said:"
        host = isSaid ? String(words[0]) : nil
        let reply = (isSaid ? words[2] : line[...]).split(separator: " ", maxSplits: 2)
        let told = reply.first.flatMap { $0.utf8.count == 3 ? Int($0) : nil }
        code = told.flatMap { (400...599).contains($0) ? $0 : nil }
        status = code != nil && reply.count > 1 && Self.isStatus(reply[1]) ? String(reply[1]) : nil
        let skipped = (code == nil ? 0 : 1) + (status == nil ? 0 : 1)
        text = reply.dropFirst(skipped).joined(separator: " ")
    }

    /// A code of the other class is not repeated: the message may have become too old meanwhile.
    func reason(isRefusal: Bool) -> Reason {
        let kind = isRefusal ? 5 : 4
        guard let code, code / 100 == kind else { return Reason(isRefusal ? 550 : 451, "\(kind).0.0", text) }
        let told = status.flatMap { $0.hasPrefix("\(kind).") ? $0 : nil }
        return Reason(code, told ?? "\(kind).0.0", text)
    }

    private static func isStatus(_ word: Substring) -> Bool {
        let parts = word.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 3 && parts.allSatisfy { (1...3).contains($0.utf8.count) && Int($0) != nil }
    }
}

enum HostName {
    static var local: String {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.isEmpty ? "localhost" : text
    }
}

enum FileText {
    /// With LF for every CRLF.
    static func withLineFeeds(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        for byte in bytes {
            if byte == UInt8(ascii: "\n"), output.last == UInt8(ascii: "\r") { output.removeLast() }
            output.append(byte)
        }
        return output
    }
}
