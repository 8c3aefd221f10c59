package import Mail

/// Why a change of the directory was not made, in words for the operator.
package enum DirectoryAdministrationError: Error, Hashable, Sendable {
    case notADomain(String)
    case domainReserved(String)
    case notAnAddress(String)
    case noSuchDomain(String)
    case domainExists(String)
    case domainInUse(String, accounts: Int, aliases: Int)
    case noSuchAccount(String)
    case accountExists(EmailAddress)
    case addressIsAlias(EmailAddress)
    case noSuchAlias(EmailAddress)
    case aliasExists(EmailAddress, target: EmailAddress)
    case tooManyTargets(EmailAddress, max: Int)
    case badPassword(String)
    case unavailable(DirectoryError)
}

extension DirectoryAdministrationError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notADomain(let text):
            "'\(text)' is no domain name"
        case .domainReserved(let domain):
            "the domain \(domain) is a relay's: mail for elsewhere waits in its mailboxes"
        case .notAnAddress(let text):
            "'\(text)' is no address: one looks like alice@example.test"
        case .noSuchDomain(let domain):
            "no such domain \(domain): add it with 'hauberk domain add \(domain)'"
        case .domainExists(let domain):
            "the domain \(domain) is there already"
        case .domainInUse(let domain, let accounts, let aliases):
            "the domain \(domain) still has \(accounts) accounts and \(aliases) aliases: remove them first"
        case .noSuchAccount(let address):
            "no such account \(address): 'hauberk account list' shows all"
        case .accountExists(let address):
            "there is an account \(address)"
        case .addressIsAlias(let address):
            "\(address) is an alias: remove it first with 'hauberk alias remove \(address)'"
        case .noSuchAlias(let address):
            "no such alias \(address): 'hauberk alias list' shows all"
        case .aliasExists(let address, let target):
            "\(address) goes to \(target) already"
        case .tooManyTargets(let address, let max):
            "\(address) goes to \(max) accounts already, which is as many as an alias may have"
        case .badPassword(let reason):
            "this password cannot be used: \(reason)"
        case .unavailable(let error):
            "\(error)"
        }
    }
}
