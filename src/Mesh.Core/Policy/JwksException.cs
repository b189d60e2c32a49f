namespace Mesh.Policy;

/// <summary>An issuer's keys could not be fetched; the message says at which step, and never what a token says.</summary>
internal sealed class JwksException(string message, Exception? inner = null) : Exception(message, inner);
