using Google.Protobuf;

namespace Mesh.Xds;

/// <summary>One message to the server, for either variant: each takes from it what it says on its wire.</summary>
/// <param name="TypeUrl">The resource type.</param>
/// <param name="Names">State of the world: all names wanted now.</param>
/// <param name="Added">Names first named in this message. Delta says these.</param>
/// <param name="Removed">Names no longer wanted. Delta says these.</param>
/// <param name="Version">State of the world: the last version of the type that was accepted whole; empty for none.</param>
/// <param name="Nonce">The last nonce of the type on this stream; empty for none.</param>
internal sealed record AdsRequest(
    string TypeUrl, IReadOnlyList<string> Names, IReadOnlyList<string> Added, IReadOnlyList<string> Removed, string Version, string Nonce)
{
    /// <summary>True for an ACK or NACK: then delta says the nonce too.</summary>
    public bool IsAnswer { get; init; }

    /// <summary>Delta, first message of a type on a stream: what is held already, by name.</summary>
    public IReadOnlyDictionary<string, string>? HeldVersions { get; init; }

    /// <summary>What is wrong with the response that is answered: makes the message a NACK. Null is an ACK.</summary>
    public string? Error { get; init; }
}

/// <summary>One message from the server, of either variant.</summary>
/// <param name="Removed">Delta: names that do not exist (any more).</param>
/// <param name="IsWhole">State of the world: what is not here and is of a type that is always sent whole does not exist.</param>
internal sealed record AdsResponse(
    string TypeUrl, string Version, string Nonce, IReadOnlyList<AdsResource> Resources, IReadOnlyList<string> Removed, bool IsWhole)
{
    /// <summary>Why resources could not be sent, by name (gRFC A88).</summary>
    public IReadOnlyList<AdsResourceError> Errors { get; init; } = [];
}

/// <summary>A resource as it came.</summary>
/// <param name="Name">The name on its wrapper; null when it has none and the bytes must tell.</param>
/// <param name="Problem">Why it could not even be unwrapped; null when it could.</param>
internal sealed record AdsResource(string? Name, string Version, ByteString Value, string? Problem);

/// <summary>Why the server cannot send a resource.</summary>
/// <param name="Code">A gRPC status code.</param>
internal sealed record AdsResourceError(string Name, int Code, string Message);
