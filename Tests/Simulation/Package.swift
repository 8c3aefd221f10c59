// swift-tools-version: 6.2
import PackageDescription

// The simulator as a program, apart from the product so that its build does not wait for the product's;
// `scripts/simulate` builds and runs it. `Modules` links to the product's sources, which are compiled once more here.

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "simulation",
    targets: [
        .target(name: "Mail", path: "Modules/Mail", swiftSettings: settings),
        .target(name: "Cluster", dependencies: ["Mail"], path: "Modules/Cluster", swiftSettings: settings),
        .target(name: "Simulation", dependencies: ["Mail", "Cluster"], path: "Engine", swiftSettings: settings),
        .executableTarget(name: "simulate", dependencies: ["Simulation"], path: "Program", swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
