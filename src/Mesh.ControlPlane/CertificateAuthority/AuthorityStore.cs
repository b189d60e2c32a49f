using System.Text.Json;
using System.Text.Json.Serialization;
using Mesh.ControlPlane.Model;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.OpenSsl;
using X509Certificate = Org.BouncyCastle.X509.X509Certificate;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>The state of the authority as it is kept: one file, so that no crash leaves a key without its certificate or a phase without its root. Only its owner reads it.</summary>
/// <remarks>Keys that an operator gave stay in the operator's files: of a given issuer the certificates are kept, of a given root our issuer. Replicas that share the state find in it all that signing needs, a given issuer's key as well.</remarks>
internal static class AuthorityStore
{
    public const string FileName = "authority.json";

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <param name="anchors">Roots that are trusted besides: kept where others read them here.</param>
    public static void Write(IStateStore data, TrustState state, IReadOnlyList<X509Certificate> anchors)
    {
        var file = new File(state.Phase.ToString(), state.Since, Of(state.Signing, data.IsShared), state.Next is null ? null : Of(state.Next, data.IsShared), [.. state.Previous.Select(Pems.Write)])
        {
            Anchors = data.IsShared ? [.. anchors.Select(Pems.Write)] : null,
        };
        data.Write(FileName, JsonSerializer.SerializeToUtf8Bytes(file, Json), secret: true);
    }

    /// <returns>Null when there is none.</returns>
    /// <exception cref="InvalidDataException">It is there and can't be used: nothing is ever made in its place.</exception>
    public static StoredTrust? Read(IStateStore data)
    {
        if (!data.Exists(FileName))
        {
            return null;
        }

        try
        {
            var file = JsonSerializer.Deserialize<File>(data.ReadText(FileName), Json) ?? throw new JsonException("it is null");
            if (file is not { Signing: { Root: not null, Issuer: not null, Origin: not null, Intermediates: not null }, Phase: not null, Previous: not null })
            {
                throw new JsonException("something of it is missing");
            }

            return new StoredTrust(
                Enum.Parse<RotationPhase>(file.Phase), file.Since, Of(file.Signing), file.Next is null ? null : Of(file.Next), [.. file.Previous.Select(p => Parse<X509Certificate>(p))])
            {
                Anchors = [.. (file.Anchors ?? []).Select(a => Parse<X509Certificate>(a))],
            };
        }
        catch (Exception e) when (e is JsonException or ArgumentException or FormatException)
        {
            throw new InvalidDataException(
                $"'{data.File(FileName)}' can't be used ({e.Message}). It holds the keys of the mesh's authority: restore it from a copy. Deleting it makes another root, which no workload that runs trusts.", e);
        }
    }

    private static Signer Of(SigningAuthority authority, bool shared) => new(
        authority.Origin.ToString(), Pems.Write(authority.Root),
        authority is { Origin: AuthorityOrigin.Own, RootKey: { } rootKey } ? Key(rootKey) : null,
        Pems.Write(authority.Issuer.Certificate),
        authority.Origin == AuthorityOrigin.Own || (shared && authority.Origin == AuthorityOrigin.GivenIssuer) || (authority.Origin == AuthorityOrigin.GivenRoot && !authority.RootSignsLeaves) ? Key(authority.Issuer.Key) : null,
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

    private sealed record File(string Phase, DateTimeOffset Since, Signer Signing, Signer? Next, List<string> Previous)
    {
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public List<string>? Anchors { get; init; }
    }

    private sealed record Signer(string Origin, string Root, string? RootKey, string Issuer, string? IssuerKey, List<string> Intermediates);
}

/// <summary>What the file says.</summary>
internal sealed record StoredTrust(RotationPhase Phase, DateTimeOffset Since, StoredSigner Signing, StoredSigner? Next, IReadOnlyList<X509Certificate> Previous)
{
    /// <summary>Roots that an operator has everyone trust besides; none where they are read from the operator's files.</summary>
    public IReadOnlyList<X509Certificate> Anchors { get; init; } = [];

    /// <summary>As it can go on with what is kept alone; null when a key is not in it.</summary>
    public TrustState? Whole =>
        Signing.Usable is not { } signing || (Next is not null && Next.Usable is null) ? null : new TrustState(Phase, Since, signing, Next?.Usable, Previous);
}

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
