import SASL

private let serverNonce = "abcdefghijklmnopqrstuvwxyz"
private let salt = [UInt8](0..<16)
private let credentials = SCRAMCredentials(password: "pencil", salt: salt, iterations: 1)

/// A server's exchange and a client that says anything: it never traps, ends, lets nobody in without a proof, and what
/// it asks the directory is within the limits.
func fuzzSASLServerExchange(_ input: UnsafeRawBufferPointer) {
    guard let choice = input.first else { return }
    var exchange = SASLServerExchange(
        mechanism: SASLMechanism.allCases[Int(choice & 3)], nonce: serverNonce, challenge: "<1.2@x>", secret: [1],
        reportsErrors: choice & 4 != 0)
    var messages = pieces(Array(input.dropFirst()))[...]
    var step = exchange.start(initialResponse: choice & 8 == 0 ? nil : messages.popFirst())
    for _ in 0..<12 {
        switch step {
        case .challenge(let challenge):
            precondition(challenge.count <= 1024, "a challenge of \(challenge.count) octets")
            step = exchange.receive(messages.popFirst() ?? [])
        case .findSCRAMCredentials(let user):
            check(user: user)
            step = exchange.credentialsFound(choice & 16 == 0 ? credentials : nil)
        case .checkPassword(let user, let password):
            check(user: user)
            precondition((1...SASLLimits.passwordOctetsMax).contains(password.utf8.count), "a password of odd length")
            precondition(!password.utf8.contains(0), "a NUL in a password")
            return expectOver(&exchange)
        case .checkDigest(let user, let challenge, let digest):
            check(user: user)
            precondition(challenge == "<1.2@x>" && digest.count == 16, "a digest of \(digest.count) octets")
            return expectOver(&exchange)
        case .failed:
            return expectOver(&exchange)
        case .succeeded(let user):
            // The corpus cannot hold a proof of this password by chance.
            preconditionFailure("let \(user) in")
        }
    }
    preconditionFailure("the exchange does not end")
}

/// Both halves with one octet of one message changed: the log-in works if and only if nothing was changed.
func fuzzSCRAMDialogue(_ input: UnsafeRawBufferPointer) {
    guard input.count >= 4 else { return }
    let user = String(decoding: input.dropFirst(4), as: UTF8.self)
    guard (1...SASLLimits.userOctetsMax).contains(user.utf8.count), user.utf8.allSatisfy({ $0 >= 32 && $0 != 127 })
    else { return }
    var client = SASLClientExchange(mechanism: .scramSHA256, user: user, password: "pencil", nonce: "clientnonce")
    var server = SASLServerExchange(mechanism: .scramSHA256, nonce: serverNonce, reportsErrors: input[3] & 1 != 0)
    var wasChanged = false
    var number = 0
    func passed(_ message: [UInt8]) -> [UInt8] {
        number += 1
        guard number == Int(input[0] % 6), !message.isEmpty, input[2] != 0 else { return message }
        wasChanged = true
        var message = message
        message[Int(input[1]) % message.count] ^= input[2]
        return message
    }
    var step = server.start(initialResponse: client.initialResponse().map(passed))
    for _ in 0..<8 {
        switch step {
        case .challenge(let challenge):
            guard case .respond(let response) = client.receive(passed(challenge)) else {
                precondition(wasChanged, "the client gave up")
                return
            }
            step = server.receive(passed(response))
        case .findSCRAMCredentials: step = server.credentialsFound(credentials)
        case .failed(let failure):
            precondition(wasChanged, "\(failure)")
            precondition(!client.isServerVerified || number > 4, "the client believes a server that refused it")
            return
        case .succeeded(let name):
            precondition(
                client.isServerVerified && !wasChanged && Array(name.utf8) == Array(user.utf8), "let \(name) in")
            return
        case .checkPassword, .checkDigest: preconditionFailure("no SCRAM")
        }
    }
    preconditionFailure("the dialogue does not end")
}

/// A client's exchange and a server that says anything: it never traps, and believes nobody who does not know the
/// password.
func fuzzSASLClientExchange(_ input: UnsafeRawBufferPointer) {
    guard let choice = input.first else { return }
    var exchange = SASLClientExchange(
        mechanism: SASLClientMechanism.allCases[Int(choice & 3)], user: "user", password: "pencil", nonce: "abc",
        iterationsMax: 16)
    if choice & 4 != 0 { _ = exchange.initialResponse() }
    for message in pieces(Array(input.dropFirst())) {
        guard case .respond = exchange.receive(message) else { break }
    }
    precondition(!exchange.isServerVerified, "believed a server that proved nothing")
}

private func check(user: String) {
    precondition((1...SASLLimits.userOctetsMax).contains(user.utf8.count), "a user name of odd length")
    precondition(user.utf8.allSatisfy { $0 >= 32 && $0 != 127 }, "a control character in a user name")
}

private func expectOver(_ exchange: inout SASLServerExchange) {
    guard case .failed = exchange.receive(Array("\0user\0secret".utf8)) else {
        preconditionFailure("the exchange goes on after its end")
    }
}

/// Cut at line feeds, which no message needs.
private func pieces(_ bytes: [UInt8]) -> [[UInt8]] {
    bytes.split(separator: 10, maxSplits: 8, omittingEmptySubsequences: false).map(Array.init)
}
