using System.Security.Cryptography;
using System.Text;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Api;

/// <summary>The API's own tokens, one for each right, kept in the data folder. In a cluster there is one, for all; who may less has a token of the cluster.</summary>
internal sealed class ApiTokens
{
    private readonly (byte[] Hash, ApiCaller Caller)[] _known;

    public ApiTokens(AdminToken change, IStateStore data)
        : this(change, AdminToken.Find(data, "view-token"), AdminToken.Find(data, "tap-token"))
    {
    }

    /// <param name="view">Null: there is none.</param>
    /// <param name="tap">Null: there is none.</param>
    public ApiTokens(AdminToken change, string? view, string? tap)
    {
        (Change, View) = (change.Value, view);
        (string? Value, ApiCaller Caller)[] all = [(change.Value, new("admin", ApiRight.Change)), (tap, new("tap-token", ApiRight.Tap)), (view, new("view-token", ApiRight.View))];
        _known = [.. all.Where(t => t.Value is not null).Select(t => (Hash(t.Value!), t.Caller))];
    }

    public string Change { get; }

    public string? View { get; }

    /// <summary>Takes the same time for every token, whether it is one and which.</summary>
    /// <returns>Null: none of ours.</returns>
    public ApiCaller? Find(string token)
    {
        var hash = Hash(token);
        ApiCaller? found = null;
        foreach (var (known, caller) in _known)
        {
            if (CryptographicOperations.FixedTimeEquals(known, hash))
            {
                found = caller;
            }
        }

        return found;
    }

    private static byte[] Hash(string token) => SHA256.HashData(Encoding.UTF8.GetBytes(token));
}
