"""The health check needs a program that the image does not have."""

REFUSED_WITH = "curl: not found"


def dockerfile():
    return """
FROM python:3.13-slim
WORKDIR /srv
RUN useradd --system --uid 10001 app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY app ./app
USER 10001
HEALTHCHECK --interval=10s --timeout=5s \\
    CMD curl --fail http://127.0.0.1:8000/live
CMD ["uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "8000"]
"""
