using Org.BouncyCastle.OpenSsl;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>PEM in and out.</summary>
internal static class Pems
{
    public static string Write(object value)
    {
        using var text = new StringWriter { NewLine = "\n" };
        using var writer = new PemWriter(text);
        writer.WriteObject(value);
        writer.Writer.Flush();
        return text.ToString();
    }

    /// <summary>The first object of a file; null when there is none that can be read.</summary>
    public static object? Read(string file)
    {
        string text;
        try
        {
            text = File.ReadAllText(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidDataException($"'{file}' can't be read: {e.Message}", e);
        }

        return Parse(text, out _);
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
}
