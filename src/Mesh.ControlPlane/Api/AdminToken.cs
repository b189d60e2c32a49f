using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Api;

/// <summary>The API's bearer token: made once, kept in the data folder so that it survives restarts.</summary>
internal sealed class AdminToken
{
    private const string FileName = "admin-token";
    private readonly byte[] _hash;

    public AdminToken(DataFolder data)
    {
        var stored = data.Exists(FileName) ? data.ReadText(FileName).Trim() : string.Empty;
        if (stored.Length < 32)
        {
            stored = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));
            data.Write(FileName, stored, secret: true);
        }

        Value = stored;
        _hash = SHA256.HashData(Encoding.UTF8.GetBytes(stored));
    }

    public string Value { get; }

    /// <summary>Takes the same time for every wrong token.</summary>
    public bool Matches(string token) => CryptographicOperations.FixedTimeEquals(_hash, SHA256.HashData(Encoding.UTF8.GetBytes(token)));
}
