using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Tls;
using Mesh.Traffic;

namespace Mesh.Xds.Decoding;

/// <summary>TLS as xDS describes it (gRFC A29). What we would have to leave out is refused: TLS that is nearly as asked is not TLS as asked.</summary>
internal static class TlsContextDecoder
{
    private const string SocketName = "envoy.transport_sockets.tls";

    /// <summary>The one certificate provider that a workload has: its own identity and trust bundle.</summary>
    private const string Provider = "default";

    public static void CheckName(TransportSocket socket, string path, DecodeErrors errors)
    {
        if (socket.Name != SocketName)
        {
            errors.Add($"{path}.name", $"is '{socket.Name}'", $"Use '{SocketName}'.");
        }
    }

    public static UpstreamTls? Upstream(TransportSocket? socket, string path, DecodeErrors errors)
    {
        if (socket is null)
        {
            return null;
        }

        CheckName(socket, path, errors);
        path += ".typed_config";
        if (errors.Unpack<UpstreamTlsContext>(socket.TypedConfig, path) is not { } given)
        {
            return null;
        }

        path += ".common_tls_context";
        if (given.CommonTlsContext is not { } common)
        {
            errors.Add(path, "is not set", $"Give the certificate provider instance '{Provider}' to verify the server with.");
            return null;
        }

        CheckCommon(common, path, errors);
        var (validation, roots) = Validation(common, path, errors);
        if (roots is null)
        {
            errors.Add(path, "names no provider of root certificates", $"Set ca_certificate_provider_instance to '{Provider}'.");
        }

        var subjects = new List<StringMatcher>();
        for (var i = 0; i < (validation?.MatchSubjectAltNames.Count ?? 0); i++)
        {
            if (MatcherDecoder.Text(validation!.MatchSubjectAltNames[i], $"{path}.validation_context.match_subject_alt_names[{i}]", errors) is { } subject)
            {
                subjects.Add(subject);
            }
        }

        return new UpstreamTls(given.Sni, subjects);
    }

    /// <summary>Our inbound listeners name no provider: the workload's own identity is meant.</summary>
    public static void CheckDownstream(DownstreamTlsContext? given, string path, DecodeErrors errors)
    {
        if (given?.CommonTlsContext is { } common)
        {
            CheckCommon(common, $"{path}.common_tls_context", errors);
            var (validation, _) = Validation(common, $"{path}.common_tls_context", errors);
            if (validation is { MatchSubjectAltNames.Count: > 0 })
            {
                errors.Add($"{path}.common_tls_context", "has match_subject_alt_names", "Callers are checked by policy, not by the TLS context.");
            }
        }
    }

    private static void CheckCommon(CommonTlsContext common, string path, DecodeErrors errors)
    {
        Refuse(common.TlsParams is not null, "tls_params");
        Refuse(common.TlsCertificates.Count > 0, "tls_certificates");
        Refuse(common.CustomHandshaker is not null, "custom_handshaker");
        Refuse(common.TlsCertificateSdsSecretConfigs.Count > 0, "tls_certificate_sds_secret_configs");
        CheckProvider(common.TlsCertificateProviderInstance?.InstanceName, $"{path}.tls_certificate_provider_instance", errors);
        CheckProvider(common.TlsCertificateCertificateProviderInstance?.InstanceName, $"{path}.tls_certificate_certificate_provider_instance", errors);

        void Refuse(bool set, string field)
        {
            if (set)
            {
                errors.Add($"{path}.{field}", "is set and not supported", $"Use certificate provider instances ('{Provider}').");
            }
        }
    }

    /// <summary>What to verify a peer with, from the current fields and the deprecated ones that Istio still sends.</summary>
    private static (CertificateValidationContext? Context, string? Roots) Validation(CommonTlsContext common, string path, DecodeErrors errors)
    {
        CertificateValidationContext? context = null;
        string? roots = null;
        switch (common.ValidationContextTypeCase)
        {
            case CommonTlsContext.ValidationContextTypeOneofCase.ValidationContext:
                (context, path) = (common.ValidationContext, $"{path}.validation_context");
                break;
            case CommonTlsContext.ValidationContextTypeOneofCase.CombinedValidationContext:
                context = common.CombinedValidationContext.DefaultValidationContext;
                roots = common.CombinedValidationContext.ValidationContextCertificateProviderInstance?.InstanceName;
                path = $"{path}.combined_validation_context.default_validation_context";
                break;
            case CommonTlsContext.ValidationContextTypeOneofCase.ValidationContextCertificateProviderInstance:
                roots = common.ValidationContextCertificateProviderInstance.InstanceName;
                break;
            case CommonTlsContext.ValidationContextTypeOneofCase.ValidationContextSdsSecretConfig:
                errors.Add($"{path}.validation_context_sds_secret_config", "is set and not supported", $"Use certificate provider instances ('{Provider}').");
                break;
        }

        if (context is not null)
        {
            roots = context.CaCertificateProviderInstance?.InstanceName ?? roots;
            Refuse(context.TrustedCa is not null && roots is null, "trusted_ca");
            Refuse(context.SystemRootCerts is not null, "system_root_certs");
            Refuse(context.VerifyCertificateHash.Count > 0, "verify_certificate_hash");
            Refuse(context.VerifyCertificateSpki.Count > 0, "verify_certificate_spki");
            Refuse(context.RequireSignedCertificateTimestamp == true, "require_signed_certificate_timestamp");
            Refuse(context.Crl is not null, "crl");
        }

        CheckProvider(roots, $"{path}.ca_certificate_provider_instance", errors);
        return (context, roots);

        void Refuse(bool set, string field)
        {
            if (set)
            {
                errors.Add($"{path}.{field}", "is set and not supported", $"Use ca_certificate_provider_instance '{Provider}'.");
            }
        }
    }

    private static void CheckProvider(string? name, string path, DecodeErrors errors)
    {
        if (name is not null and not Provider)
        {
            errors.Add($"{path}.instance_name", $"is '{name}'", $"The only provider here is '{Provider}'.");
        }
    }
}
