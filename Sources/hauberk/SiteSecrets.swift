import Membership

extension ClusterConfiguration {
    /// What this site shares with each other one, by the other's name.
    ///
    /// - Throws: `CommandFailure` for a file that is not there, or whose secret is too short.
    func siteSecrets() throws -> [String: String] {
        var secrets: [String: String] = [:]
        for (index, site) in sites.enumerated() {
            let key = "sites[\(index)].secretFile"
            let secret = try SecretFile.firstLine(of: site.secretFile, for: key)
            guard secret.utf8.count >= Self.secretBytesMin else {
                throw CommandFailure(
                    "\(site.secretFile): its first line has less than \(Self.secretBytesMin) bytes; make one with "
                        + "'openssl rand -base64 24' and give it to both sites (\(key))")
            }
            secrets[site.name] = secret
        }
        return secrets
    }

    private static let secretBytesMin = 16
}
