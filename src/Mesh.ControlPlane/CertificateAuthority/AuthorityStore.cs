using System.Text.Json;
using Mesh.ControlPlane.Model;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.OpenSsl;
using X509Certificate = Org.BouncyCastle.X509.X509Certificate;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>The state of the authority on disk: one file, so that no crash leaves a key without its certificate or a phase without its root. Only its owner reads it.</summary>
/// <remarks>Keys that an operator gave stay in the operator's files: of a given issuer the certificates are kept, of a given root our issuer.</remarks>
internal static class AuthorityStore
{
    public const string FileName = "authority.json";

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public static void Write(DataFolder data, TrustState state) => data.Write(
        FileName,
        JsonSerializer.SerializeToUtf8Bytes(new File(state.Phase.ToString(), state.Since, Of(state.Signing), state.Next is null ? null : Of(state.Next), [.. state.Previous.Select(Pems.Write)]), Json),
        secret: true);

    /// <returns>Null when there is none.</returns>
    /// <exception cref="InvalidDataException">It is there and can't be used: nothing is ever made in its place.</exception>
    public static StoredTrust? Read(DataFolder data)
    {
        if (!data.Exists(FileName))
        {
            return null;
        }

        try
        {
            var file = JsonSerializer.Deserialize<File>(data.ReadText(FileName), Json) ?? throw new JsonException("it is null");
            return new StoredTrust(
                Enum.Parse<RotationPhase>(file.Phase), file.Since, Of(file.Signing), file.Next is null ? null : Of(file.Next), [.. file.Previous.Select(p => Parse<X509Certificate>(p))]);
        }
        catch (Exception e) when (e is JsonException or ArgumentException or FormatException)
        {
            throw new InvalidDataException(
                $"'{data.File(FileName)}' can't be used ({e.Message}). It holds the keys of the mesh's authority: restore it from a copy. Deleting it makes another root, which no workload that runs trusts.", e);
        }
    }

    private static Signer Of(SigningAuthority authority) => new(
        authority.Origin.ToString(), Pems.Write(authority.Root),
        authority is { Origin: AuthorityOrigin.Own, RootKey: { } rootKey } ? Key(rootKey) : null,
        Pems.Write(authority.Issuer.Certificate),
        authority.Origin == AuthorityOrigin.Own || (authority.Origin == AuthorityOrigin.GivenRoot && !authority.RootSignsLeaves) ? Key(authority.Issuer.Key) : null,
        [.. authority.Intermediates.Select(Pems.Write)]);

    private static StoredSigner Of(Signer signer) => new(
        Enum.Parse<AuthorityOrigin>(signer.Origin), Parse<X509Certificate>(signer.Root), signer.RootKey is null ? null : PrivateKey(signer.RootKey),
        signer.IssuerKey is null ? null : new SigningPair(Parse<X509Certificate>(signer.Issuer), PrivateKey(signer.IssuerKey)), [.. signer.Intermediates.Select(i => Parse<X509Certificate>(i))]);

    private static string Key(AsymmetricKeyParameter key) => Pems.Write(new Pkcs8Generator(key).Generate());

    private static AsymmetricKeyParameter PrivateKey(string pem) => Pems.Parse(pem, out _) switch
    {
        AsymmetricCipherKeyPair pair => pair.Private,
        AsymmetricKeyParameter { IsPrivate: true } key => key,
        _ => throw new FormatException("a private key in it is broken"),
    };

    private static T Parse<T>(string pem)
        where T : class => Pems.Parse(pem, out _) as T ?? throw new FormatException("a certificate in it is broken");

    private sealed record File(string Phase, DateTimeOffset Since, Signer Signing, Signer? Next, List<string> Previous);

    private sealed record Signer(string Origin, string Root, string? RootKey, string Issuer, string? IssuerKey, List<string> Intermediates);
}

/// <summary>What the file says.</summary>
internal sealed record StoredTrust(RotationPhase Phase, DateTimeOffset Since, StoredSigner Signing, StoredSigner? Next, IReadOnlyList<X509Certificate> Previous);

/// <summary>An authority as far as it is kept. No record: nothing that prints it may print a key.</summary>
/// <param name="issuer">Null where its key is the operator's.</param>
internal sealed class StoredSigner(
    AuthorityOrigin origin, X509Certificate root, AsymmetricKeyParameter? rootKey, SigningPair? issuer, IReadOnlyList<X509Certificate> intermediates)
{
    public AuthorityOrigin Origin => origin;

    public X509Certificate Root => root;

    public string RootId { get; } = Certificates.Id(root);

    public SigningPair? Issuer => issuer;

    public IReadOnlyList<X509Certificate> Intermediates => intermediates;

    /// <summary>Null when it can't sign with what is kept.</summary>
    public SigningAuthority? Usable => issuer is null ? null : new SigningAuthority(origin, root, rootKey, issuer, intermediates);
}
