package import Mail

/// One reply of a server, as it goes over the wire (RFC 5321 §4.2, RFC 2034).
package struct SMTPReply: Hashable, Sendable {
    /// All the lines with their CRLF.
    package let bytes: [UInt8]

    /// A reply of which every byte is known to be harmless.
    init(raw: [UInt8]) { bytes = raw }

    /// - Parameter status: the enhanced status code (RFC 3463); empty where RFC 2034 §4 wants none.
    package init(_ code: Int, _ status: String, _ text: String) {
        self.init(code, status, lines: [text])
    }

    /// A reply of several lines; each shows code and status (RFC 2034 §4). Control characters and line ends become
    /// spaces, what is not ASCII becomes "?", and what is too long is cut, so that no text can make a reply of its own.
    package init(_ code: Int, _ status: String, lines: [String]) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(lines.reduce(0) { $0 + $1.utf8.count + 16 })
        for (index, line) in lines.enumerated() {
            bytes.append(decimal: code)
            bytes.append(index == lines.count - 1 ? ASCII.space : ASCII.hyphen)
            if !status.isEmpty {
                bytes.append(utf8: status)
                bytes.append(ASCII.space)
            }
            Self.append(line, to: &bytes)
            bytes.append(ASCII.cr)
            bytes.append(ASCII.lf)
        }
        self.bytes = bytes
    }

    /// The reply that tells a verdict; a reason that does not fit the verdict's kind gets a code that does.
    package init(_ verdict: Verdict, accepted: SMTPReply) {
        switch verdict {
        case .accepted: self = accepted
        case .deferred(let reason): self.init(reason, class: 4)
        case .refused(let reason): self.init(reason, class: 5)
        }
    }

    package init(_ reason: Reason) { self.init(reason, class: reason.code / 100 == 4 ? 4 : 5) }

    /// 421 is kept for the session's own good-bye (RFC 5321 §3.8).
    private init(_ reason: Reason, class wanted: Int) {
        let fits = reason.code / 100 == wanted && reason.code != 421
        let code = fits ? reason.code : wanted == 4 ? 451 : 550
        let status = Self.isStatus(reason.status, class: wanted) ? reason.status : "\(wanted).0.0"
        let lines = reason.text.split(whereSeparator: \.isNewline).prefix(20).map(String.init)
        self.init(code, status, lines: lines.isEmpty ? ["no reason given"] : lines)
    }

    /// RFC 5321 §4.5.3.1.5: 512 octets with code and CRLF.
    private static let textBytesMax = 480

    private static func append(_ text: String, to bytes: inout [UInt8]) {
        if text.utf8.count <= textBytesMax, text.hasOnly({ $0 >= 0x20 && $0 <= 0x7E }) {
            bytes.append(utf8: text)
            return
        }
        let end = bytes.count + textBytesMax
        // A character that is not ASCII is told by its first byte.
        for byte in text.utf8 where byte & 0xC0 != 0x80 && bytes.count < end {
            switch byte {
            case 0x20...0x7E: bytes.append(byte)
            case 0..<0x20, 0x7F: bytes.append(ASCII.space)
            default: bytes.append(0x3F)
            }
        }
    }

    /// RFC 3463 §2: class "." 1*3digit "." 1*3digit.
    private static func isStatus(_ text: String, class wanted: Int) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 3 && parts[0] == String(wanted)
            && parts.dropFirst().allSatisfy { (1...3).contains($0.utf8.count) && $0.utf8.allSatisfy(ASCII.isDigit) }
    }
}

/// Replies that do not depend on anything, encoded once.
extension SMTPReply {
    static let ok = SMTPReply(250, "2.0.0", "ok")
    static let senderOK = SMTPReply(250, "2.1.0", "sender ok")
    static let recipientOK = SMTPReply(250, "2.1.5", "recipient ok")
    static let chunkOK = SMTPReply(250, "2.0.0", "chunk taken")
    static let accepted = SMTPReply(250, "2.0.0", "message accepted")
    static let goodBye = SMTPReply(221, "2.0.0", "good bye")
    static let sendMessage = SMTPReply(354, "", "end the message with a dot on a line of its own")
    static let startTLS = SMTPReply(220, "2.0.0", "ready to start TLS")
    static let cannotVerify = SMTPReply(252, "2.5.0", "cannot say, but will take a message and try")
    static let help = SMTPReply(214, "2.0.0", "RFC 5321 tells how to speak with this server")
    static let authenticated = SMTPReply(235, "2.7.0", "authenticated")

    static let tooManyErrors = SMTPReply(421, "4.7.0", "too many errors")
    static let tooManyCommands = SMTPReply(421, "4.7.0", "too many commands without a message")
    static let tooManyMessages = SMTPReply(421, "4.7.0", "too many messages on one connection")
    static let tooManyRefused = SMTPReply(421, "4.7.0", "too many unknown recipients")
    static let tooManyDeferred = SMTPReply(421, "4.7.0", "too many recipients that cannot be taken")
    static let tooManyFailures = SMTPReply(421, "4.7.0", "too many failed logins")
    static let tooMuchRefused = SMTPReply(421, "4.7.0", "too much data after a refusal")
    static let draining = SMTPReply(421, "4.3.2", "server is going down, try another or try again later")
    static let noTLS = SMTPReply(454, "4.7.0", "TLS is not available now")
    static let tooManyRecipients = SMTPReply(452, "4.5.3", "too many recipients")

    static let lineTooLong = SMTPReply(500, "5.5.2", "line too long")
    static let badLine = SMTPReply(500, "5.5.2", "lines end with CRLF and hold no other CR, LF or NUL")
    static let authLineTooLong = SMTPReply(500, "5.5.6", "authentication line too long")
    static let unknownCommand = SMTPReply(500, "5.5.1", "command not known")
    static let lmtpOnly = SMTPReply(500, "5.5.1", "this is LMTP: say LHLO")
    static let smtpOnly = SMTPReply(500, "5.5.1", "this is SMTP: say EHLO")
    static let otherProtocol = SMTPReply(554, "5.5.1", "this is no web server")
    static let badHello = SMTPReply(501, "5.5.4", "say your host name behind the command")
    static let noParameters = SMTPReply(501, "5.5.4", "the command takes no parameters")
    static let badMail = SMTPReply(501, "5.5.2", "say MAIL FROM:<address>")
    static let badRecipient = SMTPReply(501, "5.5.2", "say RCPT TO:<address>")
    static let badSenderAddress = SMTPReply(501, "5.1.7", "sender address is malformed")
    static let badRecipientAddress = SMTPReply(501, "5.1.3", "recipient address is malformed")
    static let badParameter = SMTPReply(501, "5.5.4", "parameter is malformed")
    static let repeatedParameter = SMTPReply(501, "5.5.4", "parameter is given twice")
    static let missingName = SMTPReply(501, "5.5.4", "XNAME is missing")
    static let sitesSendCopies = SMTPReply(501, "5.5.4", "a site sends XCONTENT=copy, tombstone, digest or offer")
    static let missingMailbox = SMTPReply(501, "5.5.4", "XMAILBOX is missing")
    static let badChunk = SMTPReply(501, "5.5.4", "say BDAT size, or BDAT size LAST")
    static let badMechanism = SMTPReply(501, "5.5.4", "say AUTH mechanism")
    static let badBase64 = SMTPReply(501, "5.5.2", "response is no base64")
    static let cancelled = SMTPReply(501, "5.7.0", "authentication cancelled")
    static let malformedResponse = SMTPReply(501, "5.5.2", "response is malformed")
    static let notOffered = SMTPReply(502, "5.5.1", "command not offered")
    static let helloFirst = SMTPReply(503, "5.5.1", "say hello first")
    static let copyNeedsChunks = SMTPReply(503, "5.5.1", "a copy comes by BDAT")
    static let mailFirst = SMTPReply(503, "5.5.1", "MAIL first")
    static let recipientFirst = SMTPReply(503, "5.5.1", "no valid recipients")
    static let nestedMail = SMTPReply(503, "5.5.1", "a message is already begun")
    static let chunksBegun = SMTPReply(503, "5.5.1", "a message in chunks is already begun")
    static let alreadyAuthenticated = SMTPReply(503, "5.5.1", "already authenticated")
    static let alreadyTLS = SMTPReply(503, "5.5.1", "TLS is already on")
    static let notDuringMail = SMTPReply(503, "5.5.1", "not during a message")
    static let noBinary = SMTPReply(504, "5.5.4", "BODY=BINARYMIME is not taken, only lines of text")
    static let unknownBody = SMTPReply(504, "5.5.4", "BODY is 7BIT or 8BITMIME")
    static let unknownMechanism = SMTPReply(504, "5.5.4", "mechanism not known")
    static let authenticateFirst = SMTPReply(530, "5.7.0", "authenticate first")
    static let startTLSFirst = SMTPReply(530, "5.7.0", "say STARTTLS first")
    static let wrongCredentials = SMTPReply(535, "5.7.8", "wrong user or password")
    static let encryptionNeeded = SMTPReply(538, "5.7.11", "say STARTTLS first")
    static let tooBig = SMTPReply(552, "5.3.4", "message is too big")
    static let needsUTF8 = SMTPReply(553, "5.6.7", "an address that is not ASCII needs SMTPUTF8")
    static let earlyTalk = SMTPReply(554, "5.5.0", "you spoke before the greeting")
    static let badPipelining = SMTPReply(554, "5.5.0", "improper pipelining")
    static let unknownParameter = SMTPReply(555, "5.5.4", "parameter not known")
}

/// Why the session itself refuses a message that it has read.
extension Reason {
    static let bareLineEnd = Reason(550, "5.6.11", "message holds a CR or LF that is no CRLF")
    static let textLineTooLong = Reason(500, "5.6.0", "message holds a line that is too long")
    static let messageTooBig = Reason(552, "5.3.4", "message is too big")
    static let routingLoop = Reason(554, "5.4.6", "message was received too often: routing loop")
    static let noMailFirst = Reason(503, "5.5.1", "MAIL first")
    static let noRecipientFirst = Reason(503, "5.5.1", "no valid recipients")
}
