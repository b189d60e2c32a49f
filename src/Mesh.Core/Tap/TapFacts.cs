namespace Mesh.Tap;

/// <summary>What a tap goes by when it decides whether it wants an exchange: nothing is copied for it.</summary>
/// <param name="Server">Seen by the called side.</param>
/// <param name="PeerName">The called Service; on the server side the caller's service account, or <c>unmeshed</c>.</param>
/// <param name="Status">HTTP; 0 without an answer.</param>
/// <param name="GrpcStatus">-1 when there is none.</param>
internal readonly record struct TapFacts(bool Server, string PeerName, string PeerNamespace, string Method, string Path, int Status, int GrpcStatus, bool Failed, TimeSpan Latency);
