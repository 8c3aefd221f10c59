import Membership

extension ClusterConfiguration {
    /// What this cluster logs in with at the relays' servers, by the relay's name.
    ///
    /// - Throws: `CommandFailure` for a file that is not there, or is empty.
    func relayPasswords() throws -> [String: String] {
        var passwords: [String: String] = [:]
        for (index, relay) in relays.enumerated() {
            guard let file = relay.passwordFile else { continue }
            let password = try SecretFile.firstLine(of: file, for: "relays[\(index)].passwordFile")
            guard !password.isEmpty else {
                throw CommandFailure("\(file): its first line is empty (relays[\(index)].passwordFile)")
            }
            passwords[relay.name] = password
        }
        return passwords
    }
}
