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

    public AdminToken(IStateStore data)
        : this(Find(data, FileName))
    {
    }

    public AdminToken(string value)
    {
        Value = value;
        _hash = SHA256.HashData(Encoding.UTF8.GetBytes(value));
    }

    public string Value { get; }

    public static string New() => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));

    /// <summary>Takes the same time for every wrong token.</summary>
    public bool Matches(string token) => CryptographicOperations.FixedTimeEquals(_hash, SHA256.HashData(Encoding.UTF8.GetBytes(token)));

    /// <summary>The token of a file, made when there is none.</summary>
    public static string Find(IStateStore data, string fileName)
    {
        var stored = data.Exists(fileName) ? data.ReadText(fileName).Trim() : string.Empty;
        if (stored.Length < 32)
        {
            stored = New();
            data.Write(fileName, Encoding.UTF8.GetBytes(stored), secret: true);
        }

        return stored;
    }
}
