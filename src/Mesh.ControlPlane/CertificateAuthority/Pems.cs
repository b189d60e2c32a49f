using Org.BouncyCastle.OpenSsl;
using Org.BouncyCastle.X509;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>PEM in and out.</summary>
internal static class Pems
{
    private const int MaxFile = 1024 * 1024;

    public static string Write(object value)
    {
        using var text = new StringWriter { NewLine = "\n" };
        using var writer = new PemWriter(text);
        writer.WriteObject(value);
        writer.Writer.Flush();
        return text.ToString();
    }

    /// <exception cref="InvalidDataException">The file can't be read.</exception>
    public static string ReadText(string file)
    {
        try
        {
            var info = new FileInfo(file);
            return info is { Exists: true, Length: > MaxFile }
                ? throw new InvalidDataException($"'{file}' has {info.Length} bytes; no file with certificates or a key has more than {MaxFile}.")
                : File.ReadAllText(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidDataException($"'{file}' can't be read: {e.Message}", e);
        }
    }

    /// <summary>All certificates of a text, in their order; anything else in it is passed over. Never throws for bad text.</summary>
    public static List<X509Certificate> Certificates(string text)
    {
        var found = new List<X509Certificate>();
        try
        {
            using var reader = new PemReader(new StringReader(text));
            while (reader.ReadObject() is { } next)
            {
                if (next is X509Certificate certificate)
                {
                    found.Add(certificate);
                }
            }
        }
        catch (Exception)
        {
            // BouncyCastle's readers throw many types for broken input: what was whole counts.
        }

        return found;
    }

    /// <summary>Never throws for bad text.</summary>
    public static object? Parse(string text, out string? problem)
    {
        problem = null;
        try
        {
            using var reader = new PemReader(new StringReader(text));
            return reader.ReadObject();
        }
        catch (Exception e)
        {
            // BouncyCastle's readers throw many types for broken input.
            problem = e.Message;
            return null;
        }
    }

    /// <summary>The bytes of the first object.</summary>
    /// <exception cref="IOException">There is none.</exception>
    public static byte[] Content(string text)
    {
        using var reader = new Org.BouncyCastle.Utilities.IO.Pem.PemReader(new StringReader(text));
        return reader.ReadPemObject()?.Content ?? throw new IOException("No PEM object was found.");
    }
}
